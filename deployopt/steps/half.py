"""float16: a float ONNX graph, or one with Q/DQ pairs, for cards that work in half precision.

In: an ONNX graph and real inputs. Out: the same with float16 between its inputs and outputs, which
stay float32; nodes whose values come too near an end of float16's range stay float32 too.
"""

from typing import ClassVar

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.core.text import name_list
from deployopt.steps.export import MODEL_FILE
from deployopt.steps.made import onnx_artifact
from deployopt.steps.needs import need_format, need_packages, need_samples_file
from deployopt.steps.session import STATIC_SESSION

_SHOWN = 4


class ConvertHalf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`samples` is the most inputs that ranges are taken from."""

    name: ClassVar[str] = "convert-half"
    version: ClassVar[int] = 2
    tools: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "numpy")
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = True
    uses_lesson: ClassVar[bool] = False

    samples: int = 128

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not convert."""
        need_format(self.name, source, self.consumes)
        need_packages("float16", "onnx", "onnxruntime")
        need_samples_file(self.name, context, required=True)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Take ranges, then write model.onnx and compare it with the source."""
        from deployopt.graph.half import convert_to_half
        from deployopt.graph.precision import precision_found

        if context.samples is None:
            raise StepError("float16 needs samples.")
        feeds = decode_samples(context.samples)[: self.samples]
        path = context.workdir / MODEL_FILE
        done = convert_to_half(source.path, path, feeds, context.threads, context.progress)
        context.progress(1.0, "converted")
        kept = f"no value of {len(feeds)} inputs came near the end of its range"
        if done.kept:
            named = name_list([one.name for one in done.kept], _SHOWN)
            kept = f"{len(done.kept)} of {done.nodes} nodes stay float32 ({named}): "
            kept += f"{_seen([one.largest for one in done.kept])} were seen there"
        note = f"float16: {kept}; answers differ by {done.difference:.1e} at most from before."
        return onnx_artifact(source, context, precision_found(path), note, STATIC_SESSION)


def _seen(largest: list[float]) -> str:
    """What values were too large, and what too small."""
    found = []
    if max(largest) > 1.0:
        found.append(f"values of up to {max(largest):.3g}")
    if min(largest) < 1.0:
        found.append(f"values of no more than {min(largest):.3g}")
    return " and ".join(found)
