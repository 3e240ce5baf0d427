"""A language model as one GGUF file, for llama.cpp and what is made of it.

In: a request. Out: the file, weights in float16 (or 8 bits in blocks, or float32), vectors in
float32, one tensor in memory at a time. Llama and Qwen2 classes are written; others are refused
with the command of llama.cpp's own converter, which knows them all.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deployopt.core.artifact import Precision
from deployopt.core.errors import MissingExtraError, UsageError
from deployopt.core.exporting import Exported, ExportRequest
from deployopt.pipeline.exporting.gguf_words import read_words
from deployopt.pipeline.exporting.sources import CONFIG, find_source, is_local, model_class
from deployopt.sources.checks import read_object
from deployopt.sources.gguf_header import SUFFIX
from deployopt.store.handing import hand_over_file, require_nothing_at
from deployopt.store.store import Store

KINDS: Final[Mapping[str, str]] = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2"}
TYPES: Final[Mapping[Precision, str]] = {
    Precision.FP32: "F32",
    Precision.FP16: "F16",
    Precision.INT8: "Q8_0",
}
_BYTES: Final[Mapping[str, float]] = {"F32": 4.0, "F16": 2.0, "Q8_0": 34 / 32}
_PLAIN_ROPE: Final = frozenset({None, "default"})


def export_gguf(request: ExportRequest, store: Store) -> Exported:
    """Write the file.

    Raises:
        UsageError: a class or a tokenizer that is not written, a precision that GGUF has no type
            for here, or something is at the output.
        MissingExtraError: the packages that write it are not installed.
        StorageError: there is no room.
    """
    require_nothing_at(request.output)
    precision = request.precision or Precision.FP16
    _check(request, precision)
    found = find_source(request, store, fetch=True)
    folder = found.folder
    if folder is None:
        raise UsageError(f"The files of {found.name} are not at hand.")
    named = model_class(folder)
    command = _command(folder if is_local(request.source) else Path("FOLDER"), request.output)
    if named not in KINDS:
        raise UsageError(
            f"{named} is not written as GGUF here; {' and '.join(KINDS)} are. {command}"
        )
    config = read_object(folder / CONFIG)
    _require_plain(named, config, command)
    words = read_words(folder, config, _whole(config, "vocab_size", command), command)
    # The package of the format's makers is not loaded for other forms.
    from deployopt.pipeline.exporting.gguf_writing import Written, write_gguf

    kind = TYPES[precision]
    size = int(found.architecture.parameters * _BYTES[kind]) + 2**26
    written = Written(
        kind=KINDS[named],
        name=Path(found.name).name,
        type=kind,
        config=config,
        shape=found.architecture,
        words=words,
    )
    files = hand_over_file(lambda path: write_gguf(folder, path, written), size, request.output)
    return Exported(
        model=named,
        precision=precision,
        files=files,
        settings={"general.architecture": KINDS[named], "type": kind},
        warnings=found.warnings,
    )


def _check(request: ExportRequest, precision: Precision) -> None:
    if request.output.suffix != SUFFIX:
        raise UsageError(f"{request.output} does not end in {SUFFIX}, by which readers know it.")
    if request.context is not None:
        raise UsageError(
            "--context is for forms that a target's memory limits; GGUF has all of it."
        )
    if precision not in TYPES:
        raise UsageError(
            f"As GGUF a model is written in {', '.join(TYPES)} here, not in {precision}. "
            "llama.cpp's llama-quantize makes types of fewer bits of the fp16 file."
        )
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError("Writing a GGUF file", "build")


def _command(folder: Path, output: Path) -> str:
    return f"llama.cpp's own converter: python convert_hf_to_gguf.py {folder} --outfile {output}"


def _require_plain(named: str, config: Mapping[str, object], command: str) -> None:
    """Refuse what changes the arithmetic and is not written."""
    odd = [name for name in ("attention_bias", "mlp_bias") if config.get(name)]
    odd += [name for name in ("use_sliding_window",) if config.get(name)]
    for name in ("rope_scaling", "rope_parameters"):
        said = config.get(name)
        kind = said.get("rope_type", said.get("type")) if isinstance(said, dict) else None
        odd += [] if kind in _PLAIN_ROPE else [f"{name} of the kind {str(kind)[:40]}"]
    if config.get("quantization_config") is not None:
        odd.append("weights that are quantized already")
    if odd:
        raise UsageError(f"A {named} with {odd[0]} is not written as GGUF here. {command}")


def _whole(config: Mapping[str, object], name: str, command: str) -> int:
    found = config.get(name)
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise UsageError(f"The model's config does not say {name}. {command}")
    return found
