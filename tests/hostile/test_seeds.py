"""What once broke a reader, kept: `seeds/KIND/WHAT__NAME`, each given to its readers again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.hostile.bases import bases_of
from tests.hostile.subjects import NEEDED, SUBJECTS, Case, Subject, fault

SEEDS: Final = Path(__file__).parent / "seeds"
FILES: Final = sorted(path for path in SEEDS.glob("*/*__*"))


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Subject]]:
    """Readers stay for all of a kind."""
    opened: dict[str, Subject] = {}
    for kind, opener in SUBJECTS.items():
        opened[kind] = opener(tmp_path_factory.mktemp(kind))
    yield opened
    for subject in opened.values():
        subject.close()


def test_there_are_seeds_of_every_kind_that_broke() -> None:
    assert {path.parent.name for path in FILES} <= set(SUBJECTS)
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_seed_is_refused(path: Path, subjects: dict[str, Subject]) -> None:
    kind = path.parent.name
    for package in NEEDED.get(kind, ()):
        pytest.importorskip(package)
    subject = subjects[kind]
    if not subject.readers:
        subject.give(bases_of(kind)[0])
    ended = subject.give(Case(path.name.rpartition("__")[2], path.read_bytes()))
    assert fault(subject, ended) is None, ended
    assert ended.how != "opened"
