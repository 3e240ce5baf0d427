"""The log: what was found is read again, a torn line is dropped, another search's is refused."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import IntegrityError
from deployopt.core.evidence import Evidence
from deployopt.core.paired import loss_bounds
from deployopt.core.search import LayerError, Profile, TimedShape, TrainedShape
from deployopt.pipeline.searching.journal import (
    Began,
    Journal,
    Ranked,
    Shaped,
    Taught,
    restored,
    saved,
)
from deployopt.steps.distil import Distil
from deployopt.steps.prune import Prune

BEGAN = Began(
    key="a" * 64,
    made_with="deployopt",
    model="m",
    target="t",
    data="d",
    train_data="e",
    budgets={"accuracy_drop": 0.01},
)
PROFILE = Profile(layers=(0, 2), ffn=0.5)
STEPS = (Prune(layers=(0, 2), ffn=0.5), Distil(epochs=3, layers=(0, 2), label_weight=0.5))


def shape(profile: Profile = PROFILE, ratio: float = 0.3) -> TimedShape:
    return TimedShape(
        profile=profile,
        form="int8",
        ratio=ratio,
        median_s=0.001,
        tail_s=0.002,
        rounds=3,
        evidence=Evidence.TARGET,
    )


def taught(rung: int = 0, failure: str | None = None) -> Taught:
    return Taught(
        training=TrainedShape(
            recipe="2 layers, ffn 50 %, int8",
            profile=PROFILE,
            rung=rung,
            epochs=1 + rung,
            seconds=60.0,
            agreement=0.9,
            loss=loss_bounds(10, 3, 500),
            examples=500,
            failure=failure,
        ),
        steps=saved(STEPS),
        discordant=13,
    )


def filled(path: Path) -> Journal:
    journal = Journal(path, BEGAN)
    journal.add(Shaped(shape=shape(), seconds=4.0))
    layer = LayerError(name="x/MatMul", operator="MatMul", weights=9, error=0.1, changed=0.0)
    journal.add(Ranked(form="int8", layers=(layer,), seconds=6.0))
    journal.add(taught())
    return journal


def test_what_was_found_is_read_again(tmp_path: Path) -> None:
    before = filled(tmp_path / "log.jsonl")
    after = Journal(tmp_path / "log.jsonl", BEGAN)
    assert not before.resumed
    assert after.resumed
    assert after.shapes == before.shapes == (shape(),)
    assert after.taught == before.taught
    assert after.ranked("int8") == before.ranked("int8") != None  # noqa: E711
    assert after.ranked("float") is None
    assert after.spent_s == 70.0
    one = after.taught_at(PROFILE, 0)
    assert one is not None
    assert restored(one.steps, after.path) == STEPS
    assert after.taught_at(PROFILE, 1) is None


def test_a_line_that_was_cut_off_is_dropped_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    filled(path)
    whole = path.read_bytes()
    for cut in range(1, 40):
        path.write_bytes(whole[:-cut])
        journal = Journal(path, BEGAN)
        assert journal.taught == ()
        journal.add(taught())
        assert path.read_bytes() == whole


def test_even_a_first_line_may_be_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"type":"sea')
    assert Journal(path, BEGAN).taught == ()
    assert len(path.read_bytes().splitlines()) == 1


def test_the_log_of_another_search_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    filled(path)
    before = path.read_bytes()
    with pytest.raises(IntegrityError, match="another search"):
        Journal(path, msgspec.structs.replace(BEGAN, key="b" * 64))
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", [b"[]", b'{"type":"shape"}', b"\xff\xfe", b"[" * 5000])
def test_a_line_that_is_none_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "log.jsonl"
    filled(path)
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(IntegrityError, match="line 5"):
        Journal(path, BEGAN)


def test_a_step_that_is_not_known_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    filled(path)
    path.write_bytes(path.read_bytes().replace(b'"name":"distil"', b'"name":"system"'))
    one = Journal(path, BEGAN).taught[0]
    with pytest.raises(IntegrityError, match="'system', which is not known"):
        restored(one.steps, path)


def test_options_that_a_step_lacks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    filled(path)
    path.write_bytes(path.read_bytes().replace(b'"epochs":3', b'"epoch":3'))
    one = Journal(path, BEGAN).taught[0]
    with pytest.raises(IntegrityError, match="options that distil lacks"):
        restored(one.steps, path)
