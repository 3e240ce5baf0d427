"""The log of recoveries: what is chosen from it, and the tables made of it."""

from pathlib import Path

import pytest

from benchmarks.recovery import DISTILLED, MORE, TUNED, Run, chosen_rate, noted, print_table


def run(arm: str, wrong: int, *, seed: int = 0, rate: float = 1e-4, validation: float = 0.5) -> Run:
    right = "0" * wrong + "1" * (1000 - wrong)
    return Run(
        arm=arm, seed=seed, rate=rate, epochs=4, validation=validation, seconds=60, right=right
    )


def test_the_validation_split_chooses_the_rate_and_the_lower_of_equals() -> None:
    runs = [
        run(DISTILLED, 10, rate=4e-4, validation=0.8),
        run(DISTILLED, 30, rate=2e-4, validation=0.8),
        run(DISTILLED, 5, rate=1e-4, validation=0.7),
        run(DISTILLED, 5, rate=5e-5, validation=0.9, seed=1),
    ]
    assert chosen_rate(runs, DISTILLED) == 2e-4
    assert chosen_rate(runs, MORE) == 2e-4


def test_tables_of_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "runs.jsonl"
    for one in (
        run("whole", 100),
        run("cut", 480),
        run(TUNED, 130),
        run(TUNED, 150, seed=1),
        run(TUNED, 400, rate=9e-4, validation=0.1),
        run(DISTILLED, 110),
        run(DISTILLED, 110, seed=1),
    ):
        noted(log, one)
    print_table(log)
    shown = capsys.readouterr().out
    assert "Whole model: 90.00% of 1000 right; as cut: 52.00%." in shown
    assert "| fine-tuned | 0.0001 | 1 | 85.00% | 5.00 (" in shown
    assert "| **fine-tuned** | 0.0001 | all 2 | 86.00% | 4.00 (" in shown
    assert "0.0009 |" not in shown
    assert "| distilled | 0.25 | " in shown
    assert "| -1.00 points (at most " in shown
