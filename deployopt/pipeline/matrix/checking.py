"""Whether a result is what it says, by what lies at its place: nobody's word is taken for it.

In: what was asked, what came back from whoever ran it, the folder of bundles. Out: the result, or
the cell's failure where its key, its names, its exit code or its verdict are not those of the
bundle there, whose every byte is compared with its digests.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import decode_json
from deployopt.core.errors import DeployoptError, ExitCode, IntegrityError, StorageError
from deployopt.core.matrix import CellRequest, CellResult, Word, failed
from deployopt.core.verdict import Verdict
from deployopt.pipeline.matrix.journal import is_whole
from deployopt.store.faults import storage_errors

_VERDICT: Final = "verdict.json"
_OF_BUNDLE: Final = (Word.ACCEPTED, Word.PROVISIONAL)
_FAILURES: Final = {
    Word.REJECTED: (ExitCode.REJECTED,),
    Word.FAILED: (ExitCode.USAGE, ExitCode.INTEGRITY, ExitCode.FAILED),
}
"""Words of what has no verdict, and the exit codes that go with them."""


def checked(cell: CellRequest, result: CellResult, output: Path) -> CellResult:
    """The result, if the cell asked for it and it agrees with its bundle; else its failure."""
    wrong = _wrong(cell, result, output)
    if wrong is None:
        return result
    error = IntegrityError(f"The result of {cell.name.id} {wrong}. Build the cell again.")
    refused = failed(cell, error, attempts=result.attempts)
    return msgspec.structs.replace(refused, node=result.node, device=result.device)


def _wrong(cell: CellRequest, result: CellResult, output: Path) -> str | None:
    """What is not so, or None."""
    if result.name != cell.name or result.key != cell.key:
        return "is that of another cell, or of another question"
    if result.error is not None:
        return _wrong_failure(result)
    if result.page is not None and Path(result.page).name != result.page:
        return f"names the page {result.page!r}, which is not beside the bundles"
    if result.bundle is not None and result.bundle not in _folders(cell.name.id):
        return f"names the bundle {result.bundle!r}, which is not at its place"
    if not is_whole(result, output):
        there = output / (result.bundle or result.page or cell.name.id)
        return f"names a bundle that is not the one at {there}"
    return _wrong_verdict(cell, result, output)


def _wrong_failure(result: CellResult) -> str | None:
    if _fails(result) and result.verdict is None:
        return None
    return f"is an error that says {result.word.value} with exit code {result.exit_code}"


def _fails(result: CellResult) -> bool:
    return result.bundle is None and result.exit_code in _FAILURES.get(result.word, ())


def _wrong_verdict(cell: CellRequest, result: CellResult, output: Path) -> str | None:
    verdict = result.verdict
    if verdict is None:
        return None if _fails(result) else "has no verdict"
    code = verdict.exit_code(accept_predicted=cell.accept_predicted)
    if verdict.word != result.word.value or result.exit_code != code:
        return "says another word than its verdict"
    if verdict.target != cell.target.name:
        return f"is of target {verdict.target}"
    if result.bundle is None:
        return "has no bundle" if result.word in _OF_BUNDLE else None
    try:
        path = output / result.bundle / _VERDICT
        with storage_errors("reading the verdict", path):
            there = decode_json(path.read_bytes(), Verdict, where=str(path))
    except DeployoptError as error:
        if not isinstance(error, IntegrityError | StorageError):
            raise
        return f"has a bundle without its verdict ({error})"
    return None if there == verdict else "says another verdict than its bundle"


def _folders(cell: str) -> set[str]:
    """Where its bundle may lie, beside the others'."""
    return {cell, *(f"{cell}.{word.value}" for word in Word)}
