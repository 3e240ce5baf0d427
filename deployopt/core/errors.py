"""Every error that deployopt raises on purpose, each kind with its exit code.

An error says what is wrong, where, and what to do next, in one paragraph. A missed budget is a
verdict, not an error.
"""

from enum import IntEnum
from typing import ClassVar, Final

from deployopt.core.text import safe_text

PARAGRAPH_MAX: Final = 3000
"""Characters."""


class ExitCode(IntEnum):
    """What the process returns to a script."""

    ACCEPTED = 0
    REJECTED = 1
    USAGE = 2
    UNDECIDED = 3
    INTEGRITY = 4
    FAILED = 5
    INTERRUPTED = 130
    TERMINATED = 143


class DeployoptError(Exception):
    """The one base: `str(error)` is the paragraph a person reads."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED


class _Paragraph(Exception):  # noqa: N818 -- no error of its own
    """An error that quotes what strangers wrote: nothing of it begins a line, or hides one."""

    def __init__(self, message: str) -> None:
        super().__init__(safe_text(message, PARAGRAPH_MAX))


class UsageError(_Paragraph, DeployoptError):
    """Arguments, a target file, labels or data are wrong; nothing was started."""

    exit_code = ExitCode.USAGE


class CannotFitError(DeployoptError):
    """The model cannot fit the target, found before any work."""

    exit_code = ExitCode.REJECTED


class IntegrityError(DeployoptError):
    """Bytes are not the ones that were recorded; every mismatch is listed."""

    exit_code = ExitCode.INTEGRITY


class RefusedInputError(_Paragraph, DeployoptError):
    """An input could run code or break a reader, and was not opened."""

    exit_code = ExitCode.INTEGRITY


class StepError(DeployoptError):
    """A step of a recipe cannot work or did not."""


class TrainingError(StepError):
    """Training came to nothing: its loss was no finite number, or its time was too short."""


class DeviceError(DeployoptError):
    """A measurement's child process failed, hung, or ate its memory."""


class UnreachableError(DeployoptError):
    """A device elsewhere cannot be reached or used, or was lost: no fault of what was measured."""


class StorageError(DeployoptError):
    """The disk is full, or a read or write failed."""


class SourceError(_Paragraph, DeployoptError):
    """A model or its data could not be fetched."""


class MissingExtraError(DeployoptError):
    """A capability needs an extra that is not installed."""

    exit_code = ExitCode.USAGE

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs packages that are not installed. "
            f"Install them with: pip install 'deployopt[{extra}]'"
        )
