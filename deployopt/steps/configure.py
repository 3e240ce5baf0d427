"""Configure: the same graph, opened by the runtime in another way.

Takes an ONNX model and gives it back with other session options, which are part of what is measured
and shipped.
"""

from typing import ClassVar

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.steps.needs import need_format
from deployopt.steps.session import REQUANTIZING


class Configure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`entries` are config entries of ONNX Runtime, added to those that the model has.

    `without` are graph optimizers to leave out, in place of those that are left out already; what
    keeps excluded layers in float stays left out.
    """

    name: ClassVar[str] = "configure"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ()
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    entries: dict[str, str] = {}
    without: tuple[str, ...] | None = None

    def requires(self, source: Artifact, context: StepContext) -> None:  # noqa: ARG002 the Protocol's
        """Refuse what has nothing to change, or another format."""
        need_format(self.name, source, self.consumes)
        if not self.entries and self.without is None:
            raise StepError("Configure needs config entries, or optimizers to leave out.")

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Copy the files and say how they are opened."""
        from deployopt.store.writing import copy_new_file

        for path in sorted(source.folder.iterdir()):
            if path.is_file():
                copy_new_file(path, context.workdir / path.name)
        session = source.session
        without = session.disabled_optimizers
        if self.without is not None:
            kept = tuple(name for name in without if name == REQUANTIZING)
            without = (*self.without, *kept)
        session = msgspec.structs.replace(
            session,
            config_entries=session.config_entries | self.entries,
            disabled_optimizers=without,
        )
        said = ", ".join(f"{key}={value}" for key, value in sorted(self.entries.items()))
        note = f"Opened with {said or 'other graph optimizers'}."
        return msgspec.structs.replace(
            source, folder=context.workdir, session=session, notes=(*source.notes, note)
        )
