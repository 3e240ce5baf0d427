"""`finetune` on the command line: words become options, one process of several speaks."""

from pathlib import Path
from typing import Any

import pytest

from deployopt import api
from deployopt.cli.main import run
from deployopt.core.errors import StepError
from deployopt.core.memory import Method, Optimizer
from tests.fakes.training import finetune_result

LINE = ("finetune", "-m", "minilm", "-d", "reviews.csv", "-o", "out")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the API was called with, which answers at once."""
    found: dict[str, Any] = {}

    def answer(**options: Any) -> object:
        found.update(options)
        return finetune_result()

    monkeypatch.setattr(api, "finetune", answer)
    return found


def test_options_reach_the_api(asked: dict[str, Any]) -> None:
    words = ("--method", "lora", "--optimizer", "sgd", "--ema", "--column", "text=review",
             "--time-limit", "40m", "--no-checkpointing", "--resume", "--quiet")  # fmt: skip
    assert run([*LINE, *words]) == 0
    assert asked["method"] is Method.LORA
    assert asked["optimizer"] is Optimizer.SGD
    assert asked["averaged"] is True
    assert asked["columns"] == {"text": "review"}
    assert asked["time_limit_s"] == 2_400.0
    assert asked["checkpointing"] is False
    assert asked["resume"] is True
    assert asked["output"] == Path("out")
    assert asked["epochs"] is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), ("90 s", 90.0), ("2h", 7_200.0), ("1.5 min", 90.0)]
)
def test_times_are_written_as_usual(asked: dict[str, Any], text: str, seconds: float) -> None:
    assert run([*LINE, "--quiet", "--time-limit", text]) == 0
    assert asked["time_limit_s"] == seconds


@pytest.mark.parametrize("text", ["soon", "40", "0s", "-3m", "5 MiB"])
def test_other_times_are_refused(
    asked: dict[str, Any], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*LINE, "--quiet", f"--time-limit={text}"]) == 2
    assert not asked
    assert "40m" in capsys.readouterr().err


def test_only_the_first_process_prints(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert run([*LINE, "--json"]) == 0
    assert asked
    assert capsys.readouterr() == ("", "")


def test_errors_too_are_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**options: Any) -> object:
        raise StepError(f"no {len(options)}")

    monkeypatch.setattr(api, "finetune", fail)
    monkeypatch.setenv("RANK", "1")
    assert run([*LINE]) == 5
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("RANK", "0")
    assert run([*LINE, "--quiet"]) == 5
    assert "error: no" in capsys.readouterr().err
