"""The confined process that reads a GGUF file: its weights as float32, its words and its settings.

In: first the file, then one tensor's name after another. Out: the small files of a folder in
Hugging Face form with the list of its tensors, then each tensor's bytes. transformers reads the
format; nothing is written here.
"""

import json
from pathlib import Path
from typing import Final

import gguf
import msgspec
import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig, PreTrainedModel
from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from deployopt.confinement.child import main_if
from deployopt.core.errors import UsageError
from deployopt.modeling.quiet import quiet_transformers

_TOKENS: Final = ("bos_token", "eos_token", "unk_token", "pad_token")
# What a config says of this conversion and not of the model.
_PASSING: Final = (
    "_name_or_path",
    "_model_name_or_path",
    "_from_model_config",
    "quantization_config",
    "transformers_version",
)


class Opening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="open"):
    """The file, and the kind of model that its header names."""

    path: str
    architecture: str


class Weight(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="weight"):
    """One tensor of the file that was opened."""

    name: str


class Opened(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files by name, and tensors by name with their shapes; all of them float32."""

    files: dict[str, str]
    tensors: dict[str, tuple[int, ...]]


_UNKNOWN: Final = "is not supported yet"
_ANGLES: Final = "rope_freqs.weight"
_LLAMA3: Final = {
    "rope_type": "llama3",
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
"""Of Llama 3.1 to 3.3, which differ in the factor alone."""
_WINDOW: Final = "phi3.attention.sliding_window"
_WEIGHTS: dict[str, torch.Tensor] = {}


def answer(question: bytes) -> bytes:
    """Open the file, or give one of its tensors."""
    asked = msgspec.json.decode(question, type=Opening | Weight)
    if isinstance(asked, Weight):
        raw: bytes = _WEIGHTS.pop(asked.name).numpy().tobytes()
        return raw
    return msgspec.json.encode(_open(Path(asked.path), asked.architecture))


def _open(path: Path, architecture: str) -> Opened:
    torch.set_num_threads(1)
    words = {"gguf_file": path.name, "local_files_only": True}
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(path.parent, **words)
            model = AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **words)
    except ValueError as error:
        if _UNKNOWN not in str(error):
            raise
        raise UsageError(
            f"{path} holds a model of the kind {architecture!r}, whose GGUF form is not read. "
            f"Kinds that are: {', '.join(sorted(GGUF_SUPPORTED_ARCHITECTURES))}. Another is given "
            "as the folder that save_pretrained wrote."
        ) from error
    _complete(model.config, gguf.GGUFReader(path), path)
    _WEIGHTS.update(_own_tensors(model))
    named = {"architectures": [type(model).__name__], "dtype": "float32"}
    files = {
        "config.json": _plain(model.config.to_diff_dict() | named),
        "tokenizer.json": tokenizer.backend_tokenizer.to_str(),
        "tokenizer_config.json": _plain(_tokenizer_settings(tokenizer)),
    }
    if model.generation_config is not None:
        files["generation_config.json"] = _plain(model.generation_config.to_diff_dict())
    if isinstance(tokenizer.chat_template, str):
        files["chat_template.jinja"] = tokenizer.chat_template
    shapes = {name: tuple(tensor.shape) for name, tensor in _WEIGHTS.items()}
    return Opened(files=files, tensors=shapes)


def _complete(config: PreTrainedConfig, file: gguf.GGUFReader, path: Path) -> None:
    """Tell the config what the file says and transformers leaves out.

    Raises:
        UsageError: the angles of its positions are of no kind that is known.
    """
    window = file.get_field(_WINDOW)
    if window is not None:
        config.sliding_window = int(window.contents()) or None
    found = next((tensor.data for tensor in file.tensors if tensor.name == _ANGLES), None)
    if found is None or (found == 1).all():
        return
    plain = config.rope_parameters
    config.rope_parameters = {**plain, **_LLAMA3, "factor": float(found.max())}
    stretched, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    usual = plain["rope_theta"] ** -(np.arange(len(stretched)) / len(stretched))
    expected = usual / stretched.numpy()
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=1e-3):
        raise UsageError(
            f"{path} holds a model whose positions are stretched in a way that is not read from "
            "this form. Give it as the folder that it was made from."
        )


def _own_tensors(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Every tensor under its first name: tied weights are written once."""
    seen: set[int] = set()
    found = {}
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            found[name] = tensor.detach().to(torch.float32).contiguous()
    return found


def _tokenizer_settings(tokenizer: object) -> dict[str, object]:
    settings: dict[str, object] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for name in _TOKENS:
        token = getattr(tokenizer, name, None)
        if isinstance(token, str):
            settings[name] = token
    return settings


def _plain(settings: dict[str, object]) -> str:
    kept = {name: value for name, value in settings.items() if name not in _PASSING}
    return json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


main_if(__name__, answer)
