"""`export`: a model or a bundle in the form that another program serves.

A form is one line of FORMS: its name, and what writes it.
"""

from collections.abc import Callable, Mapping
from typing import Final

from deployopt.core.errors import UsageError
from deployopt.core.exporting import Exported, ExportRequest, ExportResult
from deployopt.core.text import safe_text
from deployopt.pipeline.exporting.docker import export_docker
from deployopt.pipeline.exporting.gguf import export_gguf
from deployopt.pipeline.exporting.triton import export_triton
from deployopt.pipeline.exporting.vllm_folder import export_vllm
from deployopt.store.faults import storage_errors
from deployopt.store.store import Store

Write = Callable[[ExportRequest, Store], Exported]
FORMS: Final[Mapping[str, Write]] = {
    "docker": export_docker,
    "gguf": export_gguf,
    "triton": export_triton,
    "vllm": export_vllm,
}
_ONLY: Final = {"name": "triton", "wheel": "docker"}
"""The one form that an option is for."""


def run_export(request: ExportRequest) -> ExportResult:
    """Write what was asked for.

    Raises:
        UsageError: no such form, and what the form refuses.
        CannotFitError: the model fits the target in no precision.
        IntegrityError: a bundle is not the one that was built, or the key does not vouch for it.
        SourceError, RefusedInputError, MissingExtraError: the model cannot be had.
        StorageError: the disk failed; nothing is at the output.
    """
    if request.form not in FORMS:
        raise UsageError(
            f"There is no form {safe_text(request.form, 40)!r} to export as. Forms are "
            f"{', '.join(FORMS)}."
        )
    for option, form in _ONLY.items():
        if getattr(request, option) is not None and request.form != form:
            raise UsageError(f"--{option} is for --as {form} alone. Leave it out.")
    with Store(request.store) as store, storage_errors("exporting", store.layout.root):
        made = FORMS[request.form](request, store)
    return ExportResult(
        form=request.form,
        source=request.source,
        output=str(request.output),
        target=None if request.target is None else request.target.name,
        model=made.model,
        precision=made.precision,
        files=made.files,
        settings=made.settings,
        predicted=made.predicted,
        evidence=made.evidence,
        start=made.start,
        todo=made.todo,
        warnings=made.warnings,
        exit_code=made.exit_code,
    )
