"""Stages are passed on, and their times kept."""

from collections.abc import Iterator

from deployopt.core.result import StageTime
from deployopt.core.stages import TimedStages


class Heard:
    def __init__(self) -> None:
        self.words: list[tuple[object, ...]] = []

    def stage(self, name: str, total: int | None = None, *, quiet: bool = False) -> None:
        self.words.append((name, total, quiet))

    def advance(self, share: float, words: str = "") -> None:
        self.words.append((share, words))

    def note(self, text: str) -> None:
        self.words.append((text,))


def test_times_are_of_the_stage_they_began_with() -> None:
    ticks: Iterator[int] = iter([0, 2_000_000_000, 2_000_000_000, 2_500_000_000])
    heard = Heard()
    stages = TimedStages(heard, clock_ns=lambda: next(ticks))
    stages.stage("a", 3)
    stages.advance(0.5, "half")
    stages.stage("b", quiet=True)
    stages.note("a word")
    assert stages.times == (StageTime(stage="a", seconds=2.0), StageTime(stage="b", seconds=0.5))
    assert heard.words == [("a", 3, False), (0.5, "half"), ("b", None, True), ("a word",)]
