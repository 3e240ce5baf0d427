"""Pipelines that draw: from diffusers' form to three graphs and their settings, in float or int8.

ExportPipeline takes a folder in diffusers' form and writes text encoder, UNet and decoder, each
checked against torch with what it is asked while a real prompt is drawn. QuantizePipeline makes
matrix products of text encoder and UNet int8; the decoder stays as it is. Both refuse what they
could not make before anything runs.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Final, Literal

import msgspec

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.codec import encode_pretty
from deployopt.core.drawing import GRAPHS, PARTS, SETTINGS, TEXT_ENCODER, UNET, Drawing
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.freeing import release_memory
from deployopt.core.interface import DrawingInputs
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.steps.needs import need_float, need_format, need_packages, need_samples_file
from deployopt.steps.session import CPU_SESSION
from deployopt.store.writing import copy_new_file, write_new_file

_OPSETS: Final = range(14, 21)
_EXTERNAL: Final = ".data"


class ExportPipeline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`opset` is ONNX's operator version."""

    name: ClassVar[str] = "export-pipeline"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("torch", "diffusers", "transformers", "onnx")
    consumes: ClassVar[Format] = Format.DIFFUSERS
    produces: ClassVar[Format] = Format.DRAWING
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False
    # The samples check the files; they do not change them.

    opset: int = 17
    exporter: Literal["torchscript", "dynamo"] = "torchscript"

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not export."""
        need_format(self.name, source, self.consumes)
        need_packages("Export", "torch", "transformers", "onnx", "onnxruntime")
        if diffusers_missing():
            raise MissingExtraError("Building a model that draws", "diffusion")
        if self.opset not in _OPSETS:
            raise StepError(
                f"A pipeline is exported at opsets {_OPSETS[0]} to {_OPSETS[-1]}, not "
                f"{self.opset}. Choose a target whose runtime reads one of these."
            )
        drawing_inputs(context)
        need_samples_file(self.name, context, required=True)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write the graphs and their settings."""
        from deployopt.graph.attaching import attach_weights
        from deployopt.modeling.drawing.exporting import PipelineExport, export_pipeline

        inputs = drawing_inputs(context)
        samples = decode_samples(context.samples) if context.samples else []
        context.progress(0.0, "exporting")
        differences = export_pipeline(
            source.folder,
            inputs,
            context.workdir,
            PipelineExport(
                opset=self.opset,
                exporter=self.exporter,
                threads=context.threads,
                parts=PARTS,
                attach=attach_weights,
            ),
            samples,
        )
        release_memory()
        write_new_file(context.workdir / SETTINGS, encode_pretty(Drawing(inputs=inputs)))
        context.progress(1.0, "exported")
        said = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
        note = f"Graphs and torch differ by at most {said}, over the steps of real prompts."
        return pipeline_artifact(source, context, Precision.FP32, note)


class QuantizePipeline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """s8 weights in the file, u8 activations quantized as they come, of the products of `parts`.

    Convolutions stay float. `per_channel` gives each output its own scale; `reduce_range` takes 7
    bits, for x86 without VNNI. Products named in `exclude` (patterns as of file names) stay float.
    """

    name: ClassVar[str] = "quantize-pipeline"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("onnx", "numpy")
    consumes: ClassVar[Format] = Format.DRAWING
    produces: ClassVar[Format] = Format.DRAWING
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    parts: tuple[Literal["text_encoder.onnx", "unet.onnx"], ...] = (TEXT_ENCODER, UNET)
    per_channel: bool = True
    reduce_range: bool = False
    exclude: tuple[str, ...] = ()

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not quantize."""
        need_format(self.name, source, self.consumes)
        need_float(self.name, source)
        need_packages("Quantize", "onnx")
        drawing_inputs(context)
        if not self.parts:
            raise StepError(f"QuantizePipeline needs parts: {TEXT_ENCODER}, {UNET}, or both.")

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write the quantized graphs, and copy what stays."""
        from deployopt.graph.precision import precision_of_all

        counts: dict[str, int] = {}
        for at, name in enumerate(GRAPHS):
            context.progress(at / len(GRAPHS), f"quantizing {name}")
            if name in self.parts:
                counts[name] = self._quantize(source.folder / name, context.workdir / name)
                release_memory()
            if not counts.get(name):
                _copy_graph(source.folder, context.workdir, name)
        if not any(counts.values()):
            raise StepError(
                f"{' and '.join(counts)} have no matrix product with enough constant float32 "
                "weights to gain anything from int8. The float form stands."
            )
        copy_new_file(source.folder / SETTINGS, context.workdir / SETTINGS)
        context.progress(1.0, "quantized")
        found = precision_of_all([context.workdir / name for name in GRAPHS])
        said = ", ".join(f"{count} of {name}" for name, count in counts.items())
        note = f"Products and lookups of dynamic int8: {said}."
        return pipeline_artifact(source, context, found, note)

    def _quantize(self, source: Path, destination: Path) -> int:
        """How many nodes were; where none was, nothing is written."""
        from deployopt.graph.quantize_dynamic import DynamicOptions, quantize_dynamic
        from deployopt.graph.reading import load_onnx
        from deployopt.graph.rewrite_constants import lift_constants
        from deployopt.graph.writing import save_onnx

        model = load_onnx(source, trusted=True)
        lift_constants(model)
        options = DynamicOptions(
            per_channel=self.per_channel, reduce_range=self.reduce_range, exclude=self.exclude
        )
        names = quantize_dynamic(model, options)
        if names:
            save_onnx(model, destination)
        return len(names)


def diffusers_missing() -> bool:
    """Whether what is not in the extra `build` is not here."""
    return find_spec("diffusers") is None


def drawing_inputs(context: StepContext) -> DrawingInputs:
    """What the pipeline takes; raises StepError where the model draws nothing."""
    if not isinstance(context.interface.inputs, DrawingInputs):
        raise StepError("A pipeline is made of a model that draws images of prompts.")
    return context.interface.inputs


def pipeline_artifact(
    source: Artifact, context: StepContext, precision: Precision, note: str
) -> Artifact:
    """The files in the working folder, with a note more than their source had."""
    return Artifact(
        format=Format.DRAWING,
        folder=context.workdir,
        entry=SETTINGS,
        digest="",
        precision=precision,
        session=CPU_SESSION,
        notes=(*source.notes, note),
    )


def _copy_graph(source: Path, destination: Path, name: str) -> None:
    for file in (name, name + _EXTERNAL):
        if (source / file).is_file():
            copy_new_file(source / file, destination / file)
