"""The bytes of a GGUF file, by the `gguf` package of the format's own makers.

In: a folder of safetensors, and all that the header says. Out: the file, one tensor after another.
Rotary halves of Llama's queries and keys stand beside one another there, so their rows change
places. Refuses tensors that the format has no name for, and weights too large for float16.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import gguf
import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.architecture import Architecture
from deployopt.core.errors import UsageError
from deployopt.pipeline.exporting.gguf_words import Words
from deployopt.sources.weights import LENGTH_BYTES, Tensor, read_header

Floats = npt.NDArray[np.float32]
_ARCHITECTURES: Final = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2}
_FILE_TYPES: Final = {
    "F32": gguf.LlamaFileType.ALL_F32,
    "F16": gguf.LlamaFileType.MOSTLY_F16,
    "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}
_STORED: Final = {
    gguf.GGMLQuantizationType.F32: np.float32,
    gguf.GGMLQuantizationType.F16: np.float16,
    gguf.GGMLQuantizationType.Q8_0: np.uint8,
}
_HEAD: Final = "lm_head.weight"
_SUFFIXES: Final = (".weight", ".bias")
_BLOCK: Final = 32
_MATRIX: Final = 2


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What the header says; `type` is of matrices."""

    kind: str
    name: str
    type: str
    config: Mapping[str, object]
    shape: Architecture
    words: Words


def write_gguf(folder: Path, path: Path, written: Written) -> None:
    """Write the file at `path`.

    Raises:
        UsageError: the folder holds a tensor that has no place there, or that float16 cannot hold.
    """
    writer = gguf.GGUFWriter(path, written.kind)
    try:
        _tell_sizes(writer, written)
        _tell_words(writer, written.words)
        places = list(_places(folder, written))
        for place in places:
            dtype = np.dtype(_STORED[place.type])
            writer.add_tensor_info(
                place.name, place.stored, dtype, place.bytes, raw_dtype=place.raw_type
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for place in places:
            writer.write_tensor_data(_turned(place, written.shape))
    finally:
        writer.close()


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """One tensor: where it is read, and as what it is written."""

    file: Path
    tensor: Tensor
    source: str
    name: str
    type: gguf.GGMLQuantizationType

    @property
    def raw_type(self) -> gguf.GGMLQuantizationType | None:
        """For the writer, which knows floats by themselves."""
        return self.type if self.type is gguf.GGMLQuantizationType.Q8_0 else None

    @property
    def stored(self) -> tuple[int, ...]:
        """Its shape; of quantized ones in bytes, as the writer wants it."""
        if self.raw_type is None:
            return self.tensor.shape
        found: tuple[int, ...] = gguf.quant_shape_to_byte_shape(self.tensor.shape, self.type)
        return found

    @property
    def bytes(self) -> int:
        """In the file."""
        block, size = gguf.GGML_QUANT_SIZES[self.type]
        return int(self.tensor.elements // block * size)


def _tell_sizes(writer: gguf.GGUFWriter, written: Written) -> None:
    stack, config = written.shape.stacks[0], written.config
    writer.add_name(written.name)
    writer.add_file_type(_FILE_TYPES[written.type])
    writer.add_context_length(written.shape.positions or 0)
    writer.add_embedding_length(stack.hidden)
    writer.add_block_count(stack.layers)
    writer.add_feed_forward_length(stack.ffn)
    writer.add_head_count(stack.heads)
    writer.add_head_count_kv(stack.kv_heads)
    writer.add_key_length(stack.head_dim)
    writer.add_value_length(stack.head_dim)
    writer.add_rope_dimension_count(stack.head_dim)
    writer.add_rope_freq_base(_theta(config))
    writer.add_layer_norm_rms_eps(_number(config, "rms_norm_eps", 1e-6))
    writer.add_vocab_size(written.shape.vocabulary)
    if written.type == "Q8_0":
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _tell_words(writer: gguf.GGUFWriter, words: Words) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(words.split)
    writer.add_token_list(list(words.words))
    writer.add_token_types(list(words.kinds))
    writer.add_token_merges(list(words.merges))
    tell = {
        "bos": writer.add_bos_token_id,
        "eos": writer.add_eos_token_id,
        "unk": writer.add_unk_token_id,
        "pad": writer.add_pad_token_id,
    }
    for name, number in words.special.items():
        tell[name](number)
    writer.add_add_bos_token(words.begins)
    if words.template is not None:
        writer.add_chat_template(words.template)


def _places(folder: Path, written: Written) -> Iterator[_Place]:
    names = gguf.get_tensor_name_map(_ARCHITECTURES[written.kind], written.shape.stacks[0].layers)
    for file in sorted(folder.glob("*.safetensors")):
        for source, tensor in read_header(file).items():
            if source.endswith("rotary_emb.inv_freq"):
                continue
            if source == _HEAD and written.shape.tied:
                continue
            name = names.get_name(source, try_suffixes=_SUFFIXES)
            if name is None or tensor.dtype not in _READERS:
                raise UsageError(
                    f"{folder} holds the tensor {source[:100]!r} in {tensor.dtype}, which has no "
                    f"place in a GGUF file of the kind {written.kind}."
                )
            kind = _type(tensor, written.type)
            yield _Place(file=file, tensor=tensor, source=source, name=name, type=kind)


def _type(tensor: Tensor, wanted: str) -> gguf.GGMLQuantizationType:
    """Vectors stay float32; rows that blocks do not divide are float16."""
    if len(tensor.shape) < _MATRIX:
        return gguf.GGMLQuantizationType.F32
    if wanted == "Q8_0" and tensor.shape[-1] % _BLOCK:
        return gguf.GGMLQuantizationType.F16
    return gguf.GGMLQuantizationType[wanted]


def _turned(place: _Place, shape: Architecture) -> npt.NDArray[np.generic]:
    data = _read(place)
    stack = shape.stacks[0]
    if shape.model_type == "llama" and ".self_attn." in place.source:
        if ".q_proj." in place.source:
            data = _beside(data, stack.heads)
        elif ".k_proj." in place.source:
            data = _beside(data, stack.kv_heads)
    if place.type is gguf.GGMLQuantizationType.F32:
        return data
    if np.abs(data).max(initial=0.0) > np.finfo(np.float16).max:
        raise UsageError(
            f"The tensor {place.source!r} holds weights that float16 cannot. Write it with "
            "--precision fp32."
        )
    found: npt.NDArray[np.generic] = gguf.quantize(data, place.type)
    return found


def _beside(data: Floats, heads: int) -> Floats:
    """Of each head, row i and row i + half become neighbours."""
    halves = data.reshape(heads, 2, data.shape[0] // heads // 2, *data.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(data.shape))


def _read(place: _Place) -> Floats:
    with place.file.open("rb") as stream:
        length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
        start, end = place.tensor.data_offsets
        stream.seek(LENGTH_BYTES + length + start)
        raw = stream.read(end - start)
    return _READERS[place.tensor.dtype](raw).reshape(place.tensor.shape)


def _from_f32(raw: bytes) -> Floats:
    return np.frombuffer(raw, np.float32)


def _from_f16(raw: bytes) -> Floats:
    return np.frombuffer(raw, np.float16).astype(np.float32)


def _from_bf16(raw: bytes) -> Floats:
    return (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)


_READERS: Final = {"F32": _from_f32, "F16": _from_f16, "BF16": _from_bf16}


def _theta(config: Mapping[str, object]) -> float:
    part = config.get("rope_parameters")
    inner = part if isinstance(part, dict) else {}
    return _number({**config, **inner}, "rope_theta", 10000.0)


def _number(config: Mapping[str, object], name: str, usual: float) -> float:
    found = config.get(name)
    return float(found) if isinstance(found, int | float) else usual
