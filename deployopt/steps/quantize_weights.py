"""QuantizeWeights: weights of 4 bits, activations in float, where size or memory is what counts.

Not faster than int8 on a CPU; about an eighth of the float file, embeddings an quarter of theirs.
"""

from typing import ClassVar, Literal

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.steps.export import MODEL_FILE
from deployopt.steps.made import onnx_artifact
from deployopt.steps.needs import need_float, need_format, need_packages

BLOCKS = (16, 32, 64, 128, 256)


class QuantizeWeights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Integers of so many `bits`, a scale and a zero point for each `block` of a column's weights.

    `embeddings` makes the large lookup tables s8, one scale a row. The runtime needs
    ONNX Runtime's MatMulNBits: 1.20 or later for 4 bits, 1.22 for 8.
    """

    name: ClassVar[str] = "quantize-weights"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("onnx", "numpy")
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    bits: Literal[4, 8] = 4
    block: int = 32
    embeddings: bool = True
    exclude: tuple[str, ...] = ()

    def requires(self, source: Artifact, context: StepContext) -> None:  # noqa: ARG002 the Protocol's
        """Refuse what run could not quantize."""
        need_format(self.name, source, self.consumes)
        need_float(self.name, source)
        need_packages("Quantize", "onnx")
        if self.block not in BLOCKS:
            raise StepError(
                f"QuantizeWeights takes blocks of {', '.join(map(str, BLOCKS))}, not {self.block}."
            )

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write model.onnx."""
        from deployopt.graph.precision import precision_of
        from deployopt.graph.quantize_blocks import BlockOptions, quantize_blocks
        from deployopt.graph.reading import load_onnx
        from deployopt.graph.rewrite_constants import lift_constants
        from deployopt.graph.writing import save_onnx

        context.progress(0.0, "quantizing weights")
        model = load_onnx(source.path, trusted=True)
        lift_constants(model)
        options = BlockOptions(
            bits=self.bits, block=self.block, embeddings=self.embeddings, exclude=self.exclude
        )
        names = quantize_blocks(model, options)
        if not names:
            raise StepError(
                "The graph has no matrix product with enough constant float32 weights to gain "
                f"anything from {self.bits} bits. The float form stands."
            )
        found = precision_of(model)
        save_onnx(model, context.workdir / MODEL_FILE)
        context.progress(1.0, "quantized")
        note = f"The weights of {len(names)} nodes were quantized, in blocks of {self.block}."
        return onnx_artifact(source, context, found, note)
