"""OpenVINO's form of a float ONNX graph: as it is, or with int8 weights and activations.

In: a plain float ONNX file. Out: model.xml and model.bin, with the names of inputs and outputs
kept. ConvertOpenvino keeps all weights float32; QuantizeOpenvino calibrates on real inputs with
NNCF. Refuses what is quantized already, and installs without OpenVINO or NNCF.
"""

from importlib.util import find_spec
from typing import ClassVar, Literal

import msgspec

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.freeing import release_memory
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.steps.needs import need_format, need_samples_file

Preset = Literal["mixed", "performance"]


class ConvertOpenvino(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same arithmetic in OpenVINO's own files, all of it float32."""

    name: ClassVar[str] = "convert-openvino"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("openvino",)
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.OPENVINO
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False
    # The samples check the files; they do not change them.

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not convert."""
        need_format(self.name, source, self.consumes)
        _need("openvino")
        need_samples_file(self.name, context, required=False)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write model.xml and model.bin and compare them with the source."""
        from deployopt.graph.openvino_converting import IR_FILE, convert_to_openvino

        samples = decode_samples(context.samples) if context.samples else []
        context.progress(0.0, "converting to OpenVINO")
        difference = convert_to_openvino(
            source.path, context.workdir, samples, threads=context.threads
        )
        release_memory()
        context.progress(1.0, "converted")
        words = "nothing was there to compare them with"
        if difference is not None:
            words = f"they differ from ONNX Runtime's answers by {difference:.1e} at most"
        return Artifact(
            format=self.produces,
            folder=context.workdir,
            entry=IR_FILE,
            digest="",
            precision=source.precision,
            notes=(*source.notes, f"OpenVINO's files of the graph: {words}."),
        )


class QuantizeOpenvino(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """s8 weights and 8-bit activations, whose ranges are those of real inputs.

    `transformer` leaves out what loses accuracy in attention; `reduce_range` takes 7 bits for
    weights and keeps products of two activations in float, for x86 without VNNI; `preset` makes
    activations asymmetric where they have a sign (`mixed`) or never (`performance`); `samples` is
    the most inputs that are looked at; `exclude` names nodes of the ONNX graph by patterns as of
    file names.
    """

    name: ClassVar[str] = "quantize-openvino"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("openvino", "nncf", "numpy")
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.OPENVINO
    uses_samples: ClassVar[bool] = True
    uses_lesson: ClassVar[bool] = False

    transformer: bool = True
    reduce_range: bool = False
    preset: Preset = "mixed"
    samples: int = 128
    exclude: tuple[str, ...] = ()

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not quantize."""
        need_format(self.name, source, self.consumes)
        if source.precision in {Precision.INT8, Precision.MIXED}:
            raise StepError(
                f"The step {self.name} takes a float model, and this one is quantized already."
            )
        _need("openvino", "nncf")
        need_samples_file(self.name, context, required=True)
        if self.samples < 1:
            raise StepError("QuantizeOpenvino calibrates on at least one sample.")

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Calibrate, then write model.xml and model.bin."""
        from deployopt.graph.openvino_converting import IR_FILE
        from deployopt.graph.openvino_quantizing import OpenvinoOptions, quantize_for_openvino

        if context.samples is None:
            raise StepError("QuantizeOpenvino needs samples.")
        feeds = decode_samples(context.samples)[: self.samples]
        options = OpenvinoOptions(
            transformer=self.transformer,
            reduce_range=self.reduce_range,
            preset=self.preset,
            exclude=self.exclude,
        )
        found = quantize_for_openvino(
            source.path, context.workdir, feeds, options, context.progress
        )
        release_memory()
        context.progress(1.0, "quantized")
        note = f"{found.quantized} nodes were quantized, calibrated on {len(feeds)} samples."
        return Artifact(
            format=self.produces,
            folder=context.workdir,
            entry=IR_FILE,
            digest="",
            precision=found.precision,
            notes=(*source.notes, note),
        )


def _need(*names: str) -> None:
    if any(find_spec(name) is None for name in names):
        raise MissingExtraError("OpenVINO", "openvino")
