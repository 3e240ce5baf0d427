"""Images and texts through a session: every text is asked, in requests of no more than may be."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.interface import PAIR_SCORES, TEXTS_AT_ONCE, Interface
from deployopt.core.samples import Array
from deployopt.device.retrieving.matching import match
from deployopt.device.session import Named
from deployopt.sources.folder import read_folder
from tests.fakes.clip_folder import SIDE, write_clip_folder

IMAGE = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)


class Lengths:
    """A session whose text fits better the more tokens it has; it keeps what it was asked."""

    def __init__(self, spoilt: float = 0.0) -> None:
        self.asked: list[int] = []
        self.spoilt = spoilt

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array]
    ) -> list[Array]:
        assert output_names == [PAIR_SCORES]
        assert input_feed["pixel_values"].shape == (1, 3, SIDE, SIDE)
        self.asked.append(len(input_feed["input_ids"]))
        scores = input_feed["attention_mask"].sum(axis=1, dtype=np.float32)[None]
        return [scores + np.float32(self.spoilt)]

    def get_outputs(self) -> Sequence[Named]:
        """None is asked for."""
        return ()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_clip_folder(tmp_path / "clip")


@pytest.fixture
def interface(folder: Path) -> Interface:
    return read_folder(folder).interface


def test_shares_are_of_all_texts(folder: Path, interface: Interface) -> None:
    session = Lengths()
    (shares,) = match(session, interface, folder, [IMAGE], ["a cat", "a photo of a cat", "dog"])
    wanted = np.exp([4.0, 7.0, 3.0])
    np.testing.assert_allclose(shares, wanted / wanted.sum(), rtol=1e-6)


def test_scores_by_themselves_need_no_second_text(folder: Path, interface: Interface) -> None:
    apart = msgspec.structs.replace(interface, apart=True)
    (scores,) = match(Lengths(-4.0), apart, folder, [IMAGE], ["a photo of a cat"])
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-3.0))], rtol=1e-6)
    with pytest.raises(UsageError, match="several texts"):
        match(Lengths(), apart, folder, [IMAGE], [])


def test_many_texts_go_in_several_requests(folder: Path, interface: Interface) -> None:
    session = Lengths()
    texts = [*(f"cat {at}" for at in range(TEXTS_AT_ONCE)), "a photo of a cat"]
    shares = match(session, interface, folder, [IMAGE, IMAGE], texts)
    assert session.asked == [TEXTS_AT_ONCE, 1] * 2
    assert [one.argmax() for one in shares] == [TEXTS_AT_ONCE] * 2
    assert shares[0].sum() == pytest.approx(1.0)


def test_one_text_or_no_image_says_nothing(folder: Path, interface: Interface) -> None:
    for images, texts in (([IMAGE], ["a cat"]), ([], ["a cat", "a dog"])):
        with pytest.raises(UsageError, match="two texts or more"):
            match(Lengths(), interface, folder, images, texts)


def test_a_text_that_comes_twice_is_told(folder: Path, interface: Interface) -> None:
    with pytest.raises(UsageError, match="'a cat' is given twice"):
        match(Lengths(), interface, folder, [IMAGE], ["a cat", "a dog", "a cat"])


def test_what_is_not_finite_is_told(folder: Path, interface: Interface) -> None:
    with pytest.raises(DeviceError, match="not finite"):
        match(Lengths(np.nan), interface, folder, [IMAGE], ["a cat", "a dog"])
