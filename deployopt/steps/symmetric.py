"""Int8 for GPUs: a float ONNX graph gets signed, symmetric Q/DQ pairs before its products.

In: a plain float graph and real inputs. Out: the same with pairs as TensorRT fuses them. The int8
forms for CPUs (quantize-dynamic, quantize-static) have unsigned activations, which it refuses.
"""

from typing import TYPE_CHECKING, ClassVar

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.steps.export import MODEL_FILE
from deployopt.steps.made import onnx_artifact
from deployopt.steps.needs import (
    need_calibration,
    need_float,
    need_format,
    need_packages,
    need_samples_file,
)
from deployopt.steps.quantize import Calibration
from deployopt.steps.session import STATIC_SESSION

if TYPE_CHECKING:
    from deployopt.graph.quantize_static import StaticOptions


class QuantizeSymmetric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """s8 weights, one scale a channel, and s8 activations, one scale each; biases stay float.

    Options are those of quantize-static; `exclude` names nodes by patterns as of file names.
    """

    name: ClassVar[str] = "quantize-symmetric"
    version: ClassVar[int] = 2
    tools: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "numpy")
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = True
    uses_lesson: ClassVar[bool] = False

    calibration: Calibration = "percentile"
    percentile: float = 99.999
    samples: int = 128
    exclude: tuple[str, ...] = ()

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not quantize."""
        need_format(self.name, source, self.consumes)
        need_float(self.name, source)
        need_packages("Quantize", "onnx", "onnxruntime")
        need_samples_file(self.name, context, required=True)
        need_calibration("QuantizeSymmetric", self.percentile, self.samples)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Calibrate, then write model.onnx."""
        from deployopt.graph.precision import precision_found
        from deployopt.graph.quantize_symmetric import quantize_symmetric

        if context.samples is None:
            raise StepError("QuantizeSymmetric needs samples.")
        feeds = decode_samples(context.samples)[: self.samples]
        path = context.workdir / MODEL_FILE
        options = self.options(context.threads)
        names = quantize_symmetric(source.path, path, feeds, options, context.progress)
        context.progress(1.0, "quantized")
        note = (
            f"{len(names)} {'product was' if len(names) == 1 else 'products were'} given signed, "
            f"symmetric Q/DQ pairs, calibrated on {len(feeds)} samples."
        )
        return onnx_artifact(source, context, precision_found(path), note, STATIC_SESSION)

    def options(self, threads: int) -> "StaticOptions":
        """As the graph's rewriting takes them; calibration runs on so many threads."""
        from deployopt.graph.quantize_static import StaticOptions

        return StaticOptions(
            calibration=self.calibration,
            percentile=self.percentile,
            exclude=self.exclude,
            threads=threads,
        )
