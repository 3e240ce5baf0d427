"""Build the wheel and the source archive so that the same files give the same bytes, anywhere.

    python -m tools.build_wheel FOLDER [--source CHECKOUT]

Prints the sha256 of both. Nothing is fetched: hatchling is there already, from the `dev` extra.
What could differ from one machine to the next is set here: the umask, the time zone, the locale,
the hash seed, and the time stamps inside, which are those of RELEASED and no clock's.
"""

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
RELEASED: Final = "1735689600"
"""2025-01-01; what a caller sets in SOURCE_DATE_EPOCH would change the archives' bytes."""
_SETTINGS: Final = {
    "SOURCE_DATE_EPOCH": RELEASED,
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_UMASK: Final = 0o022


def main(arguments: list[str]) -> int:
    """Build and print digests as sha256sum does."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", type=Path, default=ROOT)
    asked = parser.parse_args(arguments)
    for path in build(asked.source, asked.folder):
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")
    return 0


def build(source: Path, folder: Path) -> list[Path]:
    """The archives that were written into `folder`, which must hold none yet.

    Raises:
        FileExistsError: there is something in it already.
        subprocess.CalledProcessError: hatchling failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; name another folder.")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel",
         "--directory", folder.resolve()],
        cwd=source,
        env={**os.environ, **_SETTINGS},
        umask=_UMASK,
        check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return sorted(folder.iterdir())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
