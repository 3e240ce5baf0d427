"""Both ways are really asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.artifact import SessionOptions
from deployopt.core.samples import Array
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.session import Session, open_session
from deployopt.device.setup import Setup
from deployopt.pipeline.exporting import likeness
from deployopt.pipeline.exporting.likeness import likeness_of
from tests.fakes.served import IMAGE, TEXTS, served_bundle

SHIPPED = SessionOptions(disabled_optimizers=("GeluFusion",))
TOLD = SessionOptions()


class Turned:
    """A session whose logits changed places."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.get_outputs = session.get_outputs

    def run(self, names: Sequence[str] | None, feed: Mapping[str, Array]) -> list[Array]:
        return [np.flip(array, axis=-1) for array in self.session.run(names, feed)]


def test_the_same_answers(tmp_path: Path) -> None:
    found = likeness_of(open_bundle(served_bundle(tmp_path, session=SHIPPED)), TOLD)
    assert found is not None
    assert (found.examples, found.same, found.moved) == (len(TEXTS), len(TEXTS), 0)
    assert "no probability moved." in found.words


def test_other_answers_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(setup: Setup) -> Session:
        session = open_session(setup)
        return Turned(session) if setup.session == TOLD else session

    monkeypatch.setattr(likeness, "open_session", opened)
    found = likeness_of(open_bundle(served_bundle(tmp_path, session=SHIPPED)), TOLD)
    assert found is not None
    assert (found.examples, found.same) == (len(TEXTS), 0)
    assert found.moved > 0
    assert "0 of 4 examples" in found.words
    assert "by more than" in found.words


def test_nothing_to_ask(tmp_path: Path) -> None:
    assert likeness_of(open_bundle(served_bundle(tmp_path, IMAGE)), TOLD) is None
