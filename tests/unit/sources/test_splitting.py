"""Three disjoint splits of the sizes that are wanted."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.measurement import Split
from deployopt.sources.splitting import (
    Labelled,
    Sizes,
    cut,
    cut_two,
    left_out,
    without_duplicates,
)
from tests.fakes.model_folder import sentences


def labelled(count: int, seed: int = 0) -> Labelled:
    rows = sentences(count, seed)
    return Labelled(keys=[text for text, _ in rows], classes=tuple(label for _, label in rows))


@pytest.mark.parametrize(
    ("count", "least_gate"), [(40, 20), (400, 250), (3_400, 2_850), (6_000, 4_300)]
)
def test_the_gate_gets_what_it_can(count: int, least_gate: int) -> None:
    rows = cut(labelled(count), salt="s", sizes=Sizes(), where="f")
    every = [row for at in rows.values() for row in at.tolist()]
    assert len(every) == len(set(every))
    assert len(rows[Split.GATE]) >= least_gate
    assert 0 < len(rows[Split.CALIBRATION]) <= 300
    assert 0 < len(rows[Split.SEARCH]) <= 1_000


def test_the_order_of_the_rows_does_not_count() -> None:
    data = labelled(300)
    turned = Labelled(keys=data.keys[::-1], classes=(data.classes or ())[::-1])
    one = cut(data, salt="s", sizes=Sizes(), where="f")
    two = cut(turned, salt="s", sizes=Sizes(), where="f")
    for split in Split:
        assert {data.keys[at] for at in one[split]} == {turned.keys[at] for at in two[split]}


def test_another_seed_is_another_split() -> None:
    data = labelled(300)
    one = cut(data, salt="f/0", sizes=Sizes(), where="f")
    two = cut(data, salt="f/1", sizes=Sizes(), where="f")
    assert set(one[Split.SEARCH].tolist()) != set(two[Split.SEARCH].tolist())


def test_near_duplicates_fall_together() -> None:
    base = sentences(150)
    keys = [text for text, _ in base] + [f"{text.upper()} !" for text, _ in base]
    data = Labelled(keys=keys, classes=tuple(label for _, label in base) * 2)
    rows = cut(data, salt="s", sizes=Sizes(calibration=1000, search=1000), where="f")
    for at in rows.values():
        assert (
            sorted(row % 150 for row in at.tolist())[::2]
            == sorted(row % 150 for row in at.tolist())[1::2]
        )


def test_too_little_and_one_class_are_told_apart() -> None:
    with pytest.raises(UsageError, match="29 usable examples; at least 30"):
        cut(labelled(29), salt="s", sizes=Sizes(), where="f")
    one = Labelled(keys=labelled(50).keys, classes=(1,) * 50)
    with pytest.raises(UsageError, match="one class only"):
        cut(one, salt="s", sizes=Sizes(), where="f")


def test_one_text_over_and_over_cannot_be_split() -> None:
    keys = [f"the very same text over and over again and once more with number {at}"
            for at in range(60)]  # fmt: skip
    data = Labelled(keys=keys, classes=tuple(at % 2 for at in range(60)))
    with pytest.raises(UsageError, match="near-duplicates"):
        cut(data, salt="s", sizes=Sizes(), where="f")


def test_two_places_share_nothing() -> None:
    gate, work = labelled(100, 1), labelled(2_000, 2)
    bent = [f"{gate.keys[at]!s}!!" for at in range(50)]
    both = Labelled(keys=[*map(str, work.keys), *bent], classes=(*(work.classes or ()), *[0] * 50))
    rows, dropped = cut_two(gate, both, salt="s", sizes=Sizes(), where="f")
    assert dropped == 50
    assert rows[Split.GATE].tolist() == list(range(100))
    chosen = [*rows[Split.CALIBRATION].tolist(), *rows[Split.SEARCH].tolist()]
    assert len(chosen) == len(set(chosen)) == 1_300
    assert max(chosen) < 2_000


def test_two_places_that_are_one_are_refused() -> None:
    with pytest.raises(UsageError, match="resemble the gate's"):
        cut_two(labelled(50), labelled(50), salt="s", sizes=Sizes(), where="f")


def test_what_is_left_out_is_counted() -> None:
    kept, counts = without_duplicates(["a", "b", "a", "c", "c", " "], [0, 1, 0, 0, 1, 0])
    assert kept == [0, 1]
    assert counts == {"duplicates": 1, "contradictions": 2, "empty": 1}
    assert left_out(counts, "f") == (
        "f: rows left out: 1 repeated, 2 labelled in two ways, 1 without text.",
    )
    assert left_out({"duplicates": 0}, "f") == ()
