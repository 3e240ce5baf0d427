"""Optimize: a float ONNX graph is rewritten into one that runs faster and says the same.

Only rewritings that were measured to win are here: transformer fusions lose on CPUs and are not.
"""

from typing import ClassVar

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.freeing import release_memory
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.steps.export import MODEL_FILE
from deployopt.steps.made import onnx_artifact
from deployopt.steps.needs import need_format, need_packages, need_samples_file


class Optimize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`merge_qkv` makes one MatMul of those that read the same value, as query, key and value.

    `first_token` leaves out what the last layer works out for tokens that no one reads.
    """

    name: ClassVar[str] = "optimize"
    version: ClassVar[int] = 2
    tools: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    merge_qkv: bool = True
    first_token: bool = True

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not rewrite."""
        need_format(self.name, source, self.consumes)
        need_packages("Optimize", "onnx", "onnxruntime")
        need_samples_file(self.name, context, required=False)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write model.onnx and compare it with the source."""
        from deployopt.graph.optimizing import Chosen, optimize_graph

        samples = decode_samples(context.samples) if context.samples else []
        context.progress(0.0, "rewriting the graph")
        done = optimize_graph(
            source.path,
            context.workdir / MODEL_FILE,
            samples,
            Chosen(merge=self.merge_qkv, narrow=self.first_token),
            threads=context.threads,
        )
        context.progress(1.0, "rewritten")
        release_memory()
        note = (
            f"{done.merged} groups of matrix products that share an input were merged, and "
            f"{done.settled} computed shapes became constant."
        )
        if done.narrowed:
            note += f" {done.narrowed} products of the last layer are those of the first token."
        if not done.checked:
            note = "The graph was left as it is: there was no input to check a change with."
        return onnx_artifact(source, context, done.precision, note)
