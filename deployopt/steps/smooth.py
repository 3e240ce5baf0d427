"""Smooth: outlier channels behind layer norms move into the weights, before quantizing.

SmoothQuant's scaling. The graph stays float and says the same, which is checked on the samples.
"""

from typing import ClassVar

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import StepError
from deployopt.core.freeing import release_memory
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.steps.export import MODEL_FILE
from deployopt.steps.made import onnx_artifact
from deployopt.steps.needs import need_float, need_format, need_packages, need_samples_file


class Smooth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`alpha` is how much goes to the weights: 0 nothing of the activations' reach, 1 all of it.

    `samples` is the most inputs that are looked at.
    """

    name: ClassVar[str] = "smooth"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "numpy")
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = True
    uses_lesson: ClassVar[bool] = False

    alpha: float = 0.5
    samples: int = 128

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not smooth."""
        need_format(self.name, source, self.consumes)
        need_float(self.name, source)
        need_packages("Smooth", "onnx", "onnxruntime")
        need_samples_file(self.name, context, required=True)
        if not 0 <= self.alpha <= 1 or self.samples < 1:
            raise StepError("Smooth takes an alpha from 0 to 1, and at least one sample.")

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write model.onnx and compare it with the source."""
        from deployopt.graph.smoothing import smooth_graph

        if context.samples is None:
            raise StepError("Smooth needs samples.")
        context.progress(0.0, "smoothing")
        done = smooth_graph(
            source.path,
            context.workdir / MODEL_FILE,
            decode_samples(context.samples)[: self.samples],
            alpha=self.alpha,
            threads=context.threads,
        )
        release_memory()
        context.progress(1.0, "smoothed")
        note = (
            f"{done.folded + done.multiplied} layer norms were smoothed: {done.folded} in their "
            f"own scales, {done.multiplied} by a product behind them."
        )
        return onnx_artifact(source, context, source.precision, note)
