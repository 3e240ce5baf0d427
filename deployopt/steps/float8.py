"""float8 for GPUs: a float ONNX graph gets Q/DQ pairs of type E4M3 before its products.

In: a plain float graph and real inputs. Out: the same with pairs as TensorRT fuses them on cards of
compute capability 8.9 and later. Refuses graphs that are quantized already.
"""

from typing import ClassVar

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.steps.export import MODEL_FILE
from deployopt.steps.made import onnx_artifact
from deployopt.steps.needs import need_float, need_format, need_packages, need_samples_file
from deployopt.steps.session import STATIC_SESSION


class QuantizeFloat8(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`samples` is the most inputs that ranges are taken from; `exclude` as quantize-symmetric."""

    name: ClassVar[str] = "quantize-float8"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "numpy")
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = True
    uses_lesson: ClassVar[bool] = False

    samples: int = 128
    exclude: tuple[str, ...] = ()

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not quantize."""
        need_format(self.name, source, self.consumes)
        need_float(self.name, source)
        need_packages("float8", "onnx", "onnxruntime")
        need_samples_file(self.name, context, required=True)
        if self.samples < 1:
            raise StepError(f"The step {self.name} takes at least one sample.")

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Take ranges, then write model.onnx."""
        from deployopt.graph.precision import precision_found
        from deployopt.graph.quantize_float8 import quantize_float8
        from deployopt.graph.quantize_static import StaticOptions

        if context.samples is None:
            raise StepError("float8 needs samples.")
        feeds = decode_samples(context.samples)[: self.samples]
        path = context.workdir / MODEL_FILE
        options = StaticOptions(exclude=self.exclude, threads=context.threads)
        names = quantize_float8(source.path, path, feeds, options, context.progress)
        context.progress(1.0, "quantized")
        note = (
            f"{len(names)} products were given float8 pairs (E4M3), with ranges of {len(feeds)} "
            "samples."
        )
        return onnx_artifact(source, context, precision_found(path), note, STATIC_SESSION)
