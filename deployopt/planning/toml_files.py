"""The bytes of a small TOML file that anyone may have written: a target, prices.

In: its path and what it is. Out: its bytes. Refuses what is no ordinary file, is too large, is not
there or cannot be read.
"""

import stat
from pathlib import Path

from deployopt.core.codec import TOML_MAX
from deployopt.core.errors import UsageError
from deployopt.core.text import safe_text


def toml_bytes(path: Path, what: str, hint: str = "") -> bytes:
    """Of the file at `path`, at most `TOML_MAX`.

    `what` it is reads like `target file`; `hint` is a sentence for where there is none.

    Raises:
        UsageError: there is no such file, or it cannot be one.
    """
    where = safe_text(str(path))
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{where} is not a file. A {what} is a TOML file.")
        if found.st_size > TOML_MAX:
            raise UsageError(f"{where} has {found.st_size} bytes; a {what} has at most {TOML_MAX}.")
        with path.open("rb") as file:
            return file.read(TOML_MAX + 1)
    except FileNotFoundError as error:
        raise UsageError(f"The {what} {where} does not exist. {hint}".rstrip()) from error
    except (OSError, ValueError) as error:
        raise UsageError(safe_text(f"The {what} {where} cannot be read: {error}.")) from error
