"""bfloat16: a float ONNX graph for cards that work in it, where float16's range does not do.

In: an ONNX graph and real inputs. Out: the same with bfloat16 between its inputs and outputs, which
stay float32; and beside it the graph that a CPU is asked in its place, which is never deployed.
"""

from typing import ClassVar

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.engine import ASKED_FILE
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.steps.export import MODEL_FILE
from deployopt.steps.made import onnx_artifact
from deployopt.steps.needs import need_float, need_format, need_packages, need_samples_file
from deployopt.steps.session import STATIC_SESSION


class ConvertBfloat16(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`samples` is the most inputs whose answers are compared with float32's."""

    name: ClassVar[str] = "convert-bfloat16"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "numpy")
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = True
    uses_lesson: ClassVar[bool] = False

    samples: int = 32

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not convert."""
        need_format(self.name, source, self.consumes)
        need_float(self.name, source)
        need_packages("bfloat16", "onnx", "onnxruntime")
        need_samples_file(self.name, context, required=True)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write model.onnx and the graph that is asked in its place, and compare."""
        from deployopt.graph.bfloat16 import convert_to_bfloat16
        from deployopt.graph.precision import precision_found

        if context.samples is None:
            raise StepError("bfloat16 needs samples.")
        feeds = decode_samples(context.samples)[: self.samples]
        path, asked = (context.workdir / name for name in (MODEL_FILE, ASKED_FILE))
        apart = convert_to_bfloat16(
            source.path, path, asked, feeds, context.threads, context.progress
        )
        context.progress(1.0, "converted")
        note = (
            f"bfloat16: answers to {len(feeds)} inputs differ by {apart:.1e} at most from before."
        )
        return onnx_artifact(source, context, precision_found(path), note, STATIC_SESSION)
