"""What the operating system says about a disk, turned into one sentence a person can act on."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployopt.core.errors import StorageError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_DAMAGE = frozenset(
    {
        errno.EBADMSG,
        errno.EIO,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EUCLEAN,
    }
)
_RESERVE_BYTES = 64 * 2**20


@contextmanager
def storage_errors(doing: str, where: Path) -> Iterator[None]:
    """Raise what goes wrong with the disk inside the block as a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(_sentence(error, doing, where)) from error


def is_damage(error: OSError) -> bool:
    """Whether a failed read says that what is stored is broken, not that reading is denied."""
    return error.errno in _DAMAGE


def require_space(folder: Path, needed_bytes: int, what: str) -> None:
    """Raise StorageError when the disk of `folder` cannot take `needed_bytes` more."""
    with storage_errors("looking for free space", folder):
        free = shutil.disk_usage(_nearest_existing(folder)).free
    if free < needed_bytes + _RESERVE_BYTES:
        raise StorageError(
            f"{what} needs {_mib(needed_bytes + _RESERVE_BYTES)} free at {folder}, and "
            f"{_mib(free)} are. Free some with `deployopt gc`, or set DEPLOYOPT_HOME to a folder "
            "on a larger disk."
        )


def _nearest_existing(folder: Path) -> Path:
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def _sentence(error: OSError, doing: str, where: Path) -> str:
    reason = error.strerror or str(error)
    if error.filename is not None and str(error.filename) != str(where):
        reason += f" ({error.filename})"
    if error.errno in _FULL:
        advice = (
            "Nothing was changed. Free some space, with `deployopt gc` for one, or set "
            "DEPLOYOPT_HOME to a folder on a larger disk."
        )
    elif error.errno == errno.EFBIG:
        advice = "Nothing was changed. Raise the file-size limit (`ulimit -f`) and run again."
    elif error.errno in _DENIED:
        advice = "Choose a folder that you may write to, for the store through DEPLOYOPT_HOME."
    else:
        advice = "Nothing half-written was kept. Check the disk and run again."
    return f"Failed {doing} at {where}: {reason}. {advice}"


def _mib(count_bytes: int) -> str:
    return f"{count_bytes / 2**20:.0f} MiB"
