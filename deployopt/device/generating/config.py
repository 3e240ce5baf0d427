"""What onnxruntime-genai is told about a decoder: genai_config.json, read strictly.

In: the file. Out: the record. The runtime reads far more from it: other execution providers than
the CPU and CUDA, libraries with operators of their own, further graphs, session entries that name
files. All of that is refused here, before the runtime sees the file, and so is text that two
readers could take for two things: a name that comes twice, an escape.
"""

import json
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from deployopt.core.errors import RefusedInputError
from deployopt.core.text import safe_text
from deployopt.device.onnx_header import read_onnx_header
from deployopt.store.paths import path_problem

CONFIG: Final = "genai_config.json"
_PACKAGE: Final = "manifest.json"
"""Where this lies beside, the runtime opens what it names, and not the graph that was looked at."""
_BYTES_MAX: Final = 2**20
_FLOAT_BYTES: Final = 4
_Count = Annotated[int, msgspec.Meta(ge=1, le=2**24)]
_Token = Annotated[int, msgspec.Meta(ge=0, lt=2**24)]
_Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.%/-]{1,100}$")]
_Number = int | float


class _CudaOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    enable_cuda_graph: Literal["0"] = "0"


class _Cuda(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one provider but the CPU, and what the builder writes of it."""

    cuda: _CudaOptions


class _SessionOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Threads and messages are set here anew, whatever the file says of them."""

    log_id: _Word = "genai"
    provider_options: Annotated[tuple[_Cuda, ...], msgspec.Meta(max_length=1)] = ()
    enable_cpu_mem_arena: bool = True
    enable_mem_pattern: bool = True


class _SlidingWindow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    window_size: _Count
    pad_value: int = 0
    alignment: _Word = "right"
    slide_key_value_cache: bool = True
    slide_inputs: bool = True
    layers: tuple[int, ...] = ()
    cache_slack: Annotated[int, msgspec.Meta(ge=0, le=2**24)] = 0


class _Decoder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    session_options: _SessionOptions = _SessionOptions()
    filename: str
    head_size: _Count
    hidden_size: _Count
    num_attention_heads: _Count
    num_hidden_layers: _Count
    num_key_value_heads: _Count
    inputs: dict[_Word, _Word] = {}
    outputs: dict[_Word, _Word] = {}
    sliding_window: _SlidingWindow | None = None
    layer_types: tuple[_Word, ...] = ()


class _Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
    decoder: _Decoder
    context_length: _Count
    vocab_size: _Count
    bos_token_id: _Token | None = None
    eos_token_id: _Token | tuple[_Token, ...]
    pad_token_id: _Token | None = None


class _Search(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The defaults of whoever samples; answers that are measured are greedy all the same."""

    diversity_penalty: _Number = 0.0
    do_sample: bool = False
    early_stopping: bool = True
    length_penalty: _Number = 1.0
    max_length: _Count | None = None
    min_length: int = 0
    no_repeat_ngram_size: int = 0
    num_beams: int = 1
    num_return_sequences: int = 1
    past_present_share_buffer: bool = False
    repetition_penalty: _Number = 1.0
    temperature: _Number = 1.0
    top_k: int = 50
    top_p: _Number = 1.0


class GenaiConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decoder of one graph, and how it samples unless told otherwise."""

    model: _Model
    search: _Search = _Search()

    @property
    def provider(self) -> str:
        """What runs it: `cpu` or `cuda`."""
        return "cuda" if self.model.decoder.session_options.provider_options else "cpu"

    @property
    def paddings(self) -> frozenset[int]:
        """What the runtime may take for padding; without a word of the file's, an end of text."""
        ends = self.model.eos_token_id
        others = ends if isinstance(ends, tuple) else (ends,)
        pad = self.model.pad_token_id
        return frozenset({0, *others} if pad is None else {pad})

    def kv_bytes(self, context: int) -> int:
        """Keys and values of `context` tokens, in 32 bits each, which is the most they take."""
        decoder = self.model.decoder
        width = decoder.num_key_value_heads * decoder.head_size
        return 2 * decoder.num_hidden_layers * width * context * _FLOAT_BYTES


def read_genai_config(path: Path) -> GenaiConfig:
    """Read the file, and look whether the graph that it names lies beside it.

    Raises:
        RefusedInputError: it is no such file, or asks for more than a decoder on a CPU or a card.
    """
    try:
        config = msgspec.convert(_plain(_text(path)), GenaiConfig)
        _require_plain(config.model.decoder.filename)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise RefusedInputError(
            f"{path} cannot be used: {safe_text(str(error), 300)}. Only a decoder of one graph is "
            "opened, on the CPU or a CUDA card, as onnxruntime-genai's model builder writes it."
        ) from error
    if path.with_name(_PACKAGE).exists():
        raise RefusedInputError(f"{path.parent} has a {_PACKAGE}: a package is not opened.")
    graph = path.with_name(config.model.decoder.filename)
    if graph.is_symlink() or not graph.is_file():
        raise RefusedInputError(f"{path} names the graph {graph.name}, which does not lie beside.")
    read_onnx_header(graph)
    return config


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_BYTES_MAX + 1)
    if len(data) > _BYTES_MAX:
        raise ValueError(f"it has more than {_BYTES_MAX} bytes")
    return data.decode("utf-8")


def _plain(text: str) -> object:
    if "\\" in text:
        raise ValueError("it has an escape (a backslash)")
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice in it")
    return found


def _no_constant(word: str) -> object:
    raise ValueError(f"{word} is no number")


def _require_plain(name: str) -> None:
    if "/" in name or path_problem(name) is not None:
        raise ValueError(f"{name!r} is not a plain name of a file")
