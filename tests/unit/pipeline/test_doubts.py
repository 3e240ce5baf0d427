"""Accuracy figures that cannot be right though the paired loss is small."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.bundle import Origin
from deployopt.core.examples import Examples, encode_examples
from deployopt.core.measurement import AccuracyTrial, Split
from deployopt.core.recall_loss import RecallLoss
from deployopt.core.source import Dataset, DeclaredAccuracy, SplitFile
from deployopt.pipeline.doubts import accuracy_doubts
from tests.fakes.candidates import source
from tests.fakes.results import accuracy

COUNT = 1200
DATA = "movie-snippets"


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """1 200 texts, 55 % of them of the first label."""
    labels = tuple(int(i % 100 >= 55) for i in range(COUNT))
    suffix, content = encode_examples(
        Examples(inputs=[f"text {i}" for i in range(COUNT)], labels=labels)
    )
    path = tmp_path / f"gate{suffix}"
    path.write_bytes(content)
    gate = SplitFile(split=Split.GATE, path=path, digest="0" * 64, examples=COUNT)
    origin = Origin(asked=DATA, resolved=DATA)
    return Dataset(name=DATA, labelled=True, splits={Split.GATE: gate}, origin=origin)


def right(share: float) -> AccuracyTrial:
    """The reference right on this share, the candidate on the same examples."""
    count = round(share * COUNT)
    return msgspec.structs.replace(
        accuracy(0, 0, gate=True), both_right=count, both_wrong=COUNT - count
    )


def test_a_good_reference_raises_no_doubt(dataset: Dataset) -> None:
    assert accuracy_doubts(source(), dataset, right(0.87)) == ()


@pytest.mark.parametrize("share", [0.13, 0.45, 0.55, 0.58])
def test_permuted_labels_are_suspected(dataset: Dataset, share: float) -> None:
    """A model that is right on 87 % is right on 13 % when two labels are swapped."""
    (doubt,) = accuracy_doubts(source(), dataset, right(share))
    assert f"right on {share:.1%} of the gate split" in doubt
    assert "(55.0%)" in doubt
    assert "order" in doubt


def test_a_little_better_than_guessing_is_better(dataset: Dataset) -> None:
    assert accuracy_doubts(source(), dataset, right(0.62)) == ()


@pytest.mark.parametrize(("declared", "doubted"), [(0.87, False), (0.89, False), (0.93, True), (0.80, True)])  # fmt: skip  # noqa: E501
def test_the_reference_must_reproduce_what_is_declared(
    dataset: Dataset,
    declared: float,
    doubted: bool,  # noqa: FBT001 -- a column of the table
) -> None:
    claim = DeclaredAccuracy(accuracy=declared, examples=3000, data=DATA)
    model = msgspec.structs.replace(source(), declared=claim)
    doubts = accuracy_doubts(model, dataset, right(0.87))
    assert bool(doubts) is doubted
    assert all(f"declares {declared:.1%}" in doubt for doubt in doubts)


def test_what_is_declared_of_other_data_says_nothing(dataset: Dataset) -> None:
    claim = DeclaredAccuracy(accuracy=0.99, examples=3000, data="other")
    model = msgspec.structs.replace(source(), declared=claim)
    assert accuracy_doubts(model, dataset, right(0.87)) == ()


def test_without_labels_nobody_can_tell(dataset: Dataset) -> None:
    trial = msgspec.structs.replace(right(0.10), labelled=False)
    assert accuracy_doubts(source(), dataset, trial) == ()


def test_the_reference_is_doubted_not_the_candidate(dataset: Dataset) -> None:
    """A candidate that fails everything is the verdict's matter."""
    trial = msgspec.structs.replace(
        right(0.87), both_right=0, lost=round(0.87 * COUNT), both_wrong=round(0.13 * COUNT)
    )
    assert accuracy_doubts(source(), dataset, trial) == ()


@pytest.mark.parametrize(("recall", "doubts"), [(0.4, 0), (0.004, 1)])
def test_pairs_that_never_find_each_other_are_doubted(
    dataset: Dataset, recall: float, doubts: int
) -> None:
    loss = RecallLoss(
        reference=recall,
        candidate=recall,
        image_to_text=(recall, recall),
        text_to_image=(recall, recall),
        unlike=0,
        pulls=(0.0,) * COUNT,
    )
    trial = msgspec.structs.replace(right(0.9), recall=loss)
    found = accuracy_doubts(source(), dataset, trial)
    assert len(found) == doubts
    assert all("captions" in doubt for doubt in found)
