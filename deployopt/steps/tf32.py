"""TF32: a float ONNX graph whose products a card may work out in shorter floats.

Takes an ONNX graph and gives the same graph back, and beside it the one that a CPU is asked in its
place, with the products' factors cut. The last step of a form for a card says that it may.
"""

from typing import ClassVar

import msgspec

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.engine import ASKED_FILE
from deployopt.core.recipe import StepContext
from deployopt.steps.needs import need_float, need_format, need_packages, need_samples_file


class AllowTf32(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No options: every product is cut."""

    name: ClassVar[str] = "allow-tf32"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("onnx", "numpy")
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not change."""
        need_format(self.name, source, self.consumes)
        need_float(self.name, source)
        need_packages("TF32", "onnx")
        need_samples_file(self.name, context, required=False)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Copy the graph, and write the one that is asked in its place."""
        from deployopt.graph.naming import name_nodes
        from deployopt.graph.reading import load_onnx
        from deployopt.graph.rewrite_constants import lift_constants
        from deployopt.graph.rounding import rounded_products
        from deployopt.graph.writing import save_onnx
        from deployopt.store.writing import copy_new_file

        for path in sorted(source.folder.iterdir()):
            if path.is_file():
                copy_new_file(path, context.workdir / path.name)
        model = load_onnx(source.path, trusted=True)
        lift_constants(model)
        name_nodes(model)
        save_onnx(rounded_products(model), context.workdir / ASKED_FILE)
        context.progress(1.0, "written")
        return msgspec.structs.replace(
            source,
            folder=context.workdir,
            digest="",
            precision=Precision.TF32,
            notes=(
                *source.notes,
                "TF32: asked on a CPU with the factors of products cut to nine bits.",
            ),
        )
