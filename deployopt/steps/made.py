"""What a step that writes an ONNX graph has made, as an artifact."""

from deployopt.core.artifact import Artifact, Format, Precision, SessionOptions
from deployopt.core.recipe import StepContext
from deployopt.steps.export import MODEL_FILE
from deployopt.steps.session import CPU_SESSION


def onnx_artifact(
    source: Artifact,
    context: StepContext,
    precision: Precision,
    note: str,
    session: SessionOptions = CPU_SESSION,
) -> Artifact:
    """The model.onnx in the working folder, with a note more than its source had."""
    return Artifact(
        format=Format.ONNX,
        folder=context.workdir,
        entry=MODEL_FILE,
        digest="",
        precision=precision,
        session=session,
        notes=(*source.notes, note),
    )
