"""Quantize: a float ONNX graph becomes an int8 one.

QuantizeDynamic is for transformers and needs no data; QuantizeStatic is for convolution nets and
calibrates on real inputs. Both keep the layers named in `exclude` (patterns as of file names) in
float, the way back for layers that lose accuracy.
"""

from typing import TYPE_CHECKING, ClassVar, Literal

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
from deployopt.steps.session import STATIC_SESSION

if TYPE_CHECKING:
    from deployopt.graph.quantize_dynamic import DynamicOptions
    from deployopt.graph.quantize_static import StaticOptions

Calibration = Literal["minmax", "percentile", "entropy", "mse"]


class QuantizeDynamic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """s8 weights in the file, u8 activations quantized as they come.

    `per_channel` gives each output its own scale; `reduce_range` takes 7 bits, for x86 without
    VNNI; `embeddings` makes the large lookup tables s8 too, one scale a row.
    """

    name: ClassVar[str] = "quantize-dynamic"
    version: ClassVar[int] = 2
    tools: ClassVar[tuple[str, ...]] = ("onnx", "numpy")
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    per_channel: bool = True
    reduce_range: bool = False
    embeddings: bool = True
    exclude: tuple[str, ...] = ()

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not quantize."""
        need_format(self.name, source, self.consumes)
        need_float(self.name, source)
        need_packages("Quantize", "onnx")
        need_samples_file(self.name, context, required=False)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write model.onnx."""
        from deployopt.graph.precision import precision_of
        from deployopt.graph.quantize_dynamic import MIN_WEIGHTS, quantize_dynamic
        from deployopt.graph.reading import load_onnx
        from deployopt.graph.rewrite_constants import lift_constants
        from deployopt.graph.writing import save_onnx

        context.progress(0.0, "quantizing weights")
        model = load_onnx(source.path, trusted=True)
        lift_constants(model)
        names = quantize_dynamic(model, self.options())
        if not names:
            raise StepError(
                "The graph has no matrix product with enough constant float32 weights "
                f"({MIN_WEIGHTS:,} or more) to gain anything from int8. The float form stands."
            )
        found = precision_of(model)
        save_onnx(model, context.workdir / MODEL_FILE)
        context.progress(1.0, "quantized")
        note = f"{len(names)} nodes were quantized, with dynamic range."
        return onnx_artifact(source, context, found, note)

    def options(self) -> "DynamicOptions":
        """As the graph's rewriting takes them."""
        from deployopt.graph.quantize_dynamic import DynamicOptions

        return DynamicOptions(
            per_channel=self.per_channel,
            reduce_range=self.reduce_range,
            embeddings=self.embeddings,
            exclude=self.exclude,
        )


class QuantizeStatic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """s8 weights and u8 activations, whose ranges are those of real inputs.

    `calibration` takes the whole range seen (`minmax`), or leaves out the share of values beyond
    `percentile` percent, or cuts where least information is lost (`entropy`, by Kullback-Leibler
    divergence) or where the squared error is least (`mse`); `samples` is the most inputs that are
    looked at.
    """

    name: ClassVar[str] = "quantize-static"
    version: ClassVar[int] = 2
    tools: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "numpy")
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = True
    uses_lesson: ClassVar[bool] = False

    per_channel: bool = True
    reduce_range: bool = False
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
        need_calibration("QuantizeStatic", self.percentile, self.samples)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Calibrate, then write model.onnx."""
        from deployopt.graph.precision import precision_found
        from deployopt.graph.quantize_static import quantize_static

        if context.samples is None:
            raise StepError("QuantizeStatic needs samples.")
        options = self.options(context.threads)
        feeds = decode_samples(context.samples)[: self.samples]
        names = quantize_static(
            source.path, context.workdir / MODEL_FILE, feeds, options, context.progress
        )
        context.progress(1.0, "quantized")
        note = f"{len(names)} nodes were quantized, calibrated on {len(feeds)} samples."
        found = precision_found(context.workdir / MODEL_FILE)
        return onnx_artifact(source, context, found, note, STATIC_SESSION)

    def options(self, threads: int) -> "StaticOptions":
        """As the graph's rewriting takes them; calibration runs on so many threads."""
        from deployopt.graph.quantize_static import StaticOptions

        return StaticOptions(
            per_channel=self.per_channel,
            reduce_range=self.reduce_range,
            calibration=self.calibration,
            percentile=self.percentile,
            exclude=self.exclude,
            threads=threads,
        )
