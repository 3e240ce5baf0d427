"""Decoders for onnxruntime-genai: a causal language model as a graph, in float or in few bits.

ExportDecoder takes a folder in Hugging Face form and lets that project's builder write the graph,
in float, or with weights of 8 or 4 bits in blocks; for CPUs, or for CUDA cards that need not be
here. QuantizeDecoder makes a float graph of it one of dynamic int8. Both refuse what they could not
make before anything runs, and say which precision they find in what was made.
"""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Final, Literal

import msgspec

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.decoders import DECODER_CLASSES, stretched_decoder, unknown_decoder
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.freeing import release_memory
from deployopt.core.interface import PromptInputs
from deployopt.core.recipe import StepContext
from deployopt.steps.needs import need_float, need_format, need_packages
from deployopt.store.writing import copy_new_file

CONFIG: Final = "genai_config.json"
GRAPH: Final = "model.onnx"
HEAD: Final = "/lm_head/*"
BLOCKS: Final = (16, 32, 64, 128, 256)
Algorithm = Literal[
    "default", "rtn", "rtn_last", "k_quant", "k_quant_last", "k_quant_mixed", "k_quant_linear"
]
FLOATS: Final = frozenset({"fp32", "fp16"})
_NO_GRAPHS: Final = frozenset({("fp32", "cuda"), ("fp16", "cpu")})
"""In float32 the builder's attention for CUDA leaves out the cache that its own config asks for."""
_CONFIG_MAX: Final = 4 * 2**20
_WHOLE_CACHE: Final = "windowed_kv_cache=false"
"""A cache that is as short as a layer's window bears no shorter context, and no text in pieces."""
_PLAIN_NORMS: Final = "fuse_qk_norm_gqa=false"
"""Norms of queries and keys inside of attention have no kernel on a CPU, where a card's graph is
judged."""
_GIB: Final = 2**30


class ExportDecoder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`precision` of the weights; below float `block_size` of them share a scale.

    `algorithm` is the builder's: `rtn` rounds to the nearest, `k_quant` looks for the scale with
    the least error; `_last` keeps the head in 8 bits, `_mixed` the most sensitive layers as well.
    `accuracy_level` 4 multiplies in int8, 1 in float32. Without `symmetric` a block has a zero
    point beside its scale. `embeddings` makes the table of words s8, one scale a row, where the
    weights are not float; without it the builder may take the head's, which the runtime holds a
    second time in memory. Products that come calibrated (steps/calibrate.py) stay as they are.
    With `provider` cuda a graph works in float16 between whole token ids and logits.
    """

    name: ClassVar[str] = "export-decoder"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("onnxruntime-genai", "torch", "transformers", "onnx-ir")
    consumes: ClassVar[Format] = Format.TRANSFORMERS
    produces: ClassVar[Format] = Format.GENAI
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    precision: Literal["fp32", "fp16", "int8", "int4"] = "fp32"
    provider: Literal["cpu", "cuda"] = "cpu"
    block_size: int = 32
    algorithm: Algorithm = "default"
    accuracy_level: int = 4
    symmetric: bool = True
    embeddings: bool = True

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not export."""
        need_format(self.name, source, self.consumes)
        need_packages("ExportDecoder", "torch", "transformers", "onnx")
        if find_spec("onnxruntime_genai") is None:
            raise MissingExtraError("Building a language model", "chat")
        if not isinstance(context.interface.inputs, PromptInputs):
            raise StepError("ExportDecoder takes a language model that goes on with a text.")
        if self.block_size not in BLOCKS or self.accuracy_level not in range(5):
            raise StepError(
                f"ExportDecoder takes blocks of {', '.join(map(str, BLOCKS))} and an accuracy "
                f"level of 0 to 4, not {self.block_size} and {self.accuracy_level}."
            )
        if (self.precision, self.provider) in _NO_GRAPHS:
            raise StepError(
                f"The model builder of onnxruntime-genai writes no {self.precision} graph for "
                f"{self.provider} that its runtime opens. Take fp16 for cuda and fp32 for cpu."
            )
        config = _config(source.folder)
        found = _architecture(config)
        if found not in DECODER_CLASSES:
            raise StepError(unknown_decoder(found))
        stretched = stretched_decoder(config)
        if stretched is not None:
            raise StepError(stretched)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write the folder."""
        from deployopt.graph.precision import precision_found
        from deployopt.modeling.language.building import (
            UnknownArchitectureError,
            Wanted,
            build_decoder,
        )

        context.progress(0.0, "building the decoder")
        wanted = Wanted(
            precision=self.precision,
            provider=self.provider,
            options=self._options(),
            threads=context.threads,
        )
        try:
            built = build_decoder(source.folder, context.workdir, wanted)
        except UnknownArchitectureError as error:
            raise StepError(unknown_decoder(_architecture(_config(source.folder)))) from error
        if self.embeddings and self.precision not in FLOATS:
            context.progress(0.8, "quantizing embeddings")
            _quantize_lookups(context.workdir / GRAPH)
        context.progress(1.0, f"built, with {built.peak_bytes / _GIB:.1f} GiB at most")
        found = precision_found(context.workdir / GRAPH)
        return decoder_artifact(source, context, found, ())

    def _options(self) -> tuple[str, ...]:
        both = (_WHOLE_CACHE,) if self.provider == "cpu" else (_WHOLE_CACHE, _PLAIN_NORMS)
        if self.precision in FLOATS:
            return both
        # A table of words that is the head's as well would be of as few bits, and lose by it.
        apart = self.embeddings or self.provider == "cuda"
        return (
            *both,
            f"block_size={self.block_size}",
            f"accuracy_level={self.accuracy_level}",
            f"algo_config={self.algorithm}",
            f"is_symmetric={str(self.symmetric).lower()}",
            *(("shared_embeddings=false",) if apart else ()),
        )


class QuantizeDecoder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """s8 weights in the file, u8 activations quantized as they come, one scale for all tokens.

    `reduce_range` takes 7 bits, for x86 without VNNI; `per_channel` gives each output its own
    scale; without `embeddings` the table of words stays float, without `head` the last product.
    Products named in `blocks` (patterns as of file names) take 8-bit weights in blocks instead, and
    activations quantized by block: a few tokens have values there a thousand times the others', and
    one scale for all would leave nothing of those.
    """

    name: ClassVar[str] = "quantize-decoder"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("onnx", "numpy")
    consumes: ClassVar[Format] = Format.GENAI
    produces: ClassVar[Format] = Format.GENAI
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    reduce_range: bool = False
    per_channel: bool = True
    embeddings: bool = True
    head: bool = True
    blocks: tuple[str, ...] = ("*/down_proj/*", HEAD)

    def requires(self, source: Artifact, context: StepContext) -> None:  # noqa: ARG002 the Protocol's
        """Refuse what run could not quantize."""
        need_format(self.name, source, self.consumes)
        need_float(self.name, source)
        need_packages("Quantize", "onnx")

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write the folder."""
        from deployopt.graph.fold_transposes import fold_transposes
        from deployopt.graph.precision import precision_of
        from deployopt.graph.quantize_blocks import BlockOptions, quantize_blocks
        from deployopt.graph.quantize_dynamic import DynamicOptions, quantize_dynamic
        from deployopt.graph.reading import load_onnx
        from deployopt.graph.rewrite_constants import lift_constants
        from deployopt.graph.writing import save_onnx

        context.progress(0.0, "quantizing weights")
        model = load_onnx(source.folder / GRAPH, trusted=True)
        lift_constants(model)
        if self.embeddings:
            fold_transposes(model)
        kept = () if self.head else (HEAD,)
        options = DynamicOptions(
            per_channel=self.per_channel,
            reduce_range=self.reduce_range,
            embeddings=self.embeddings,
            exclude=(*kept, *self.blocks),
        )
        names = quantize_dynamic(model, options)
        in_blocks: tuple[str, ...] = ()
        if self.blocks:
            wanted = BlockOptions(bits=8, embeddings=False, exclude=kept, only=self.blocks)
            in_blocks = quantize_blocks(model, wanted)
        if not names and not in_blocks:
            raise StepError(
                "The decoder has no matrix product with enough weights to gain anything from int8. "
                "The float form stands."
            )
        found = precision_of(model)
        save_onnx(model, context.workdir / GRAPH, external_above_bytes=0)
        del model
        release_memory()
        copy_beside(source.folder, context.workdir)
        context.progress(1.0, "quantized")
        note = (
            f"{len(names)} nodes of the decoder were quantized with dynamic range, "
            f"{len(in_blocks)} in blocks."
        )
        return decoder_artifact(source, context, found, (note,))


def _quantize_lookups(path: Path) -> None:
    """Make the large tables of a graph s8, in its own files."""
    from deployopt.graph.fold_transposes import fold_transposes
    from deployopt.graph.index import GraphIndex
    from deployopt.graph.quantize_dynamic import DynamicOptions, quantize_dynamic
    from deployopt.graph.quantize_lookups import is_lookup
    from deployopt.graph.reading import load_onnx
    from deployopt.graph.rewrite_constants import lift_constants
    from deployopt.graph.writing import save_onnx

    model = load_onnx(path, trusted=True)
    lift_constants(model)
    fold_transposes(model)
    index = GraphIndex(model)
    tables = [node.name for node in model.graph.node if is_lookup(index, node)]
    if tables:
        quantize_dynamic(model, DynamicOptions(), only=tables)
        path.unlink()
        path.with_name(f"{path.name}.data").unlink(missing_ok=True)
        save_onnx(model, path, external_above_bytes=0)
    del model
    release_memory()


def copy_beside(source: Path, workdir: Path) -> None:
    """Everything but the graph: config and tokenizer."""
    for path in sorted(source.iterdir()):
        if path.is_file() and not path.name.startswith(GRAPH):
            copy_new_file(path, workdir / path.name)


def _config(folder: Path) -> Mapping[str, object]:
    path = folder / "config.json"
    if not path.is_file() or path.stat().st_size > _CONFIG_MAX:
        raise StepError(f"{folder} has no config.json that says what model it holds.")
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise StepError(f"{path} is not JSON: {error}.") from error
    return found if isinstance(found, dict) else {}


def _architecture(config: Mapping[str, object]) -> str:
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else "nothing"


def decoder_artifact(
    source: Artifact, context: StepContext, precision: Precision, notes: tuple[str, ...]
) -> Artifact:
    """The folder for onnxruntime-genai, with further notes than its source had."""
    return Artifact(
        format=Format.GENAI,
        folder=context.workdir,
        entry=CONFIG,
        digest="",
        precision=precision,
        notes=(*source.notes, *notes),
    )
