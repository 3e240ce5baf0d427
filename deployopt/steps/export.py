"""Export: a model in Hugging Face form becomes one ONNX file, checked against torch.

Takes a folder of config.json and safetensors; gives model.onnx with free batch and length. Refuses
pickled weights, opsets that the exporter cannot write, and a graph that differs from the model.
"""

from typing import ClassVar, Final, Literal

import msgspec

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import StepError
from deployopt.core.freeing import release_memory
from deployopt.core.interface import ImageInputs, PairInputs, TextInputs
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.steps.needs import need_format, need_packages, need_samples_file
from deployopt.steps.session import CPU_SESSION

_OPSETS: Final = {"torchscript": range(11, 21), "dynamo": range(18, 24)}
MODEL_FILE: Final = "model.onnx"


class Export(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`opset` is ONNX's operator version, 11 to 20 by torchscript, 18 to 23 by dynamo."""

    name: ClassVar[str] = "export"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("torch", "transformers", "onnx", "onnxscript")
    consumes: ClassVar[Format] = Format.TRANSFORMERS
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False
    # The samples check the file; they do not change it.

    opset: int = 17
    exporter: Literal["torchscript", "dynamo"] = "torchscript"

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not export."""
        need_format(self.name, source, self.consumes)
        need_packages("Export", "torch", "transformers", "onnx", "onnxruntime")
        if self.opset not in _OPSETS[self.exporter]:
            first, last = _OPSETS[self.exporter][0], _OPSETS[self.exporter][-1]
            raise StepError(
                f"The {self.exporter} exporter writes opsets {first} to {last}, not {self.opset}. "
                "Choose one that the target's runtime reads."
            )
        if not isinstance(context.interface.inputs, TextInputs | ImageInputs | PairInputs):
            raise StepError("Export needs a model of texts or images; give an ONNX file instead.")
        need_samples_file(self.name, context, required=False)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write model.onnx and check it."""
        from deployopt.graph.attaching import attach_weights
        from deployopt.modeling.exporting import ExportOptions, export_folder

        samples = decode_samples(context.samples) if context.samples else []
        context.progress(0.0, "exporting")
        difference = export_folder(
            source.folder,
            context.interface,
            context.workdir / MODEL_FILE,
            ExportOptions(
                opset=self.opset,
                exporter=self.exporter,
                threads=context.threads,
                attach=attach_weights,
            ),
            samples,
        )
        release_memory()
        context.progress(1.0, "exported")
        inputs = (
            f"{len(samples)} real samples" if samples else "made-up inputs, for want of samples"
        )
        return Artifact(
            format=self.produces,
            folder=context.workdir,
            entry=MODEL_FILE,
            digest="",
            precision=Precision.FP32,
            session=CPU_SESSION,
            notes=(f"The graph and torch differ by {difference:.1e} at most, over {inputs}.",),
        )
