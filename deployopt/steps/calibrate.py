"""Calibrate: a language model's weights rounded to 4 bits by what real text multiplies them with.

A folder in Hugging Face form goes in and one comes out, whose layers' products are integers with a
scale and a zero point a block; the step export-decoder makes a decoder of it. Head and embeddings
stay as they came. Refuses what is quantized already.
"""

from importlib.util import find_spec
from typing import ClassVar, Final

import msgspec

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.interface import PromptInputs
from deployopt.core.recipe import StepContext
from deployopt.steps.needs import need_float, need_format, need_packages, need_samples_file

CONFIG: Final = "config.json"
BLOCKS: Final = (16, 32, 64, 128)
_GIB: Final = 2**30


class CalibrateDecoder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """GPTQ in blocks of `block_size`; `eight` is the share of the layers' weights kept in 8 bits.

    Which ones those are is measured: the products for whose weights rounding is expected to cost
    the most likelihood. `damping` is what is added to the diagonal of each product's Hessian, as a
    share of its mean.
    """

    name: ClassVar[str] = "calibrate-decoder"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("olive-ai", "torch", "transformers")
    consumes: ClassVar[Format] = Format.TRANSFORMERS
    produces: ClassVar[Format] = Format.TRANSFORMERS
    uses_samples: ClassVar[bool] = True
    uses_lesson: ClassVar[bool] = False

    block_size: int = 32
    eight: float = 0.25
    damping: float = 0.01

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not calibrate."""
        need_format(self.name, source, self.consumes)
        need_float(self.name, source)
        need_packages("CalibrateDecoder", "torch", "transformers")
        if find_spec("olive") is None:
            raise MissingExtraError("Calibrating a language model's weights", "calibrate")
        if not isinstance(context.interface.inputs, PromptInputs):
            raise StepError("CalibrateDecoder takes a language model that goes on with a text.")
        need_samples_file(self.name, context, required=True)
        if self.block_size not in BLOCKS or not 0 <= self.eight < 1 or not 0 < self.damping < 1:
            raise StepError(
                f"CalibrateDecoder takes blocks of {', '.join(map(str, BLOCKS))}, a share in 8 "
                "bits from 0 to 1 and a damping between 0 and 1, not "
                f"{self.block_size}, {self.eight:g} and {self.damping:g}."
            )

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write the folder."""
        from deployopt.modeling.language.calibrating import Rounding, calibrate_weights

        if context.samples is None:
            raise StepError("CalibrateDecoder needs samples.")
        context.progress(0.0, "calibrating weights")
        rounding = Rounding(
            block=self.block_size,
            eight=self.eight,
            damping=self.damping,
            threads=context.threads,
        )
        done = calibrate_weights(source.folder, context.samples, context.workdir, rounding)
        context.progress(1.0, f"calibrated, with {done.peak_bytes / _GIB:.1f} GiB at most")
        note = f"Weights were rounded to 4 bits by GPTQ; {len(done.eight)} products keep 8."
        return Artifact(
            format=self.produces,
            folder=context.workdir,
            entry=CONFIG,
            digest="",
            precision=Precision.INT4,
            notes=(*source.notes, note),
        )
