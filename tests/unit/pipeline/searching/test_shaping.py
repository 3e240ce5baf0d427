"""Shapes are timed once, and once more where the first time left their order to chance."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from deployopt.core.artifact import Artifact, Format
from deployopt.core.recipe import Recipe
from deployopt.core.search import Effort, Profile
from deployopt.core.watching import SILENT
from deployopt.pipeline.making import Made
from deployopt.pipeline.recipes import Form
from deployopt.pipeline.searching import shaping
from deployopt.pipeline.searching.journal import Journal
from deployopt.pipeline.searching.run import SearchRun
from deployopt.pipeline.searching.shaping import TRIED, Base, time_shapes
from deployopt.pipeline.searching.time_budget import TimeBudget
from deployopt.pipeline.searching.timing import ROUNDS, Timed
from tests.fakes.searching import prepared_build
from tests.unit.pipeline.searching.test_journal import BEGAN

PROFILES = [Profile(layers=tuple(range(count))) for count in (5, 4, 3, 2)]
ARTIFACT = Artifact(
    format=Format.ONNX, folder=Path("/nowhere"), entry="model.onnx", digest="0" * 64
)


def timed(ratio: float, spread: float) -> Timed:
    return Timed(
        ratio=ratio,
        lower=ratio / spread,
        upper=ratio * spread,
        median_s=ratio / 100,
        tail_s=ratio / 80,
        rounds=3,
    )


def shaped(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[int, int], Timed],
) -> tuple[list[float], list[tuple[int, int]]]:
    """Ratios by profile, and (artifacts, rounds) of every timing."""
    asked: list[tuple[int, int]] = []

    def times(artifacts: Sequence[Artifact], _p: object, _w: object, rounds: int) -> list[Timed]:
        asked.append((len(artifacts), rounds))
        return [answer(at, rounds) for at in range(len(artifacts))]

    made = Made(recipe=Recipe(name="any", steps=()), artifact=ARTIFACT, steps=())
    monkeypatch.setattr(shaping, "time_artifacts", times)
    monkeypatch.setattr(shaping, "_make", lambda *_: made)
    monkeypatch.setattr(shaping, "made_facts", lambda *_: None)
    prepared = prepared_build()
    run = SearchRun(
        prepared=prepared,
        effort=Effort.DEFAULT,
        journal=Journal(path, BEGAN),
        budget=TimeBudget(None),
        watcher=SILENT,
    )
    base = Base(
        float_artifact=ARTIFACT, form=Form(name="int8", reason=""), artifact=ARTIFACT, ratio=0.5
    )
    shapes = time_shapes(run, PROFILES, base)
    assert all(shape.verdict == TRIED for shape in shapes)
    return [shape.ratio for shape in shapes], asked


def test_shapes_that_are_told_apart_are_timed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, asked = shaped(tmp_path / "log", monkeypatch, lambda at, _: timed(0.1 * (at + 1) / 2, 1.05))
    assert asked == [(len(PROFILES) + 1, ROUNDS)]


def test_what_was_noisy_is_timed_again_for_longer_and_the_second_time_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(at: int, rounds: int) -> Timed:
        if rounds > ROUNDS:
            return timed(0.2, 1.05)
        return timed(0.4, 1.6 if at in {1, 2} else 1.05)

    ratios, asked = shaped(tmp_path / "log", monkeypatch, answer)
    assert asked == [(len(PROFILES) + 1, ROUNDS), (3, 2 * ROUNDS)]
    assert sorted(ratios) == [0.2, 0.2, 0.4, 0.4]


def test_a_second_call_times_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = shaped(tmp_path / "log", monkeypatch, lambda at, _: timed(0.1 + at / 50, 1.6))
    second, asked = shaped(tmp_path / "log", monkeypatch, lambda *_: timed(0.3, 1.0))
    assert second == first
    assert asked == []
