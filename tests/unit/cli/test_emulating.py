"""The command's words reach the call, and its result both people and scripts."""

import json
from pathlib import Path
from typing import Any

import pytest

from deployopt import api
from deployopt.cli.main import run
from tests.fakes.emulated import emulate_result


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the call was given; it answers as rejected."""
    found: dict[str, Any] = {}

    def emulate(bundle: Path, **arguments: object) -> object:
        found.update(arguments, bundle=bundle)
        return emulate_result(exit_code=1)

    monkeypatch.setattr(api, "emulate", emulate)
    return found


def test_every_option(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "emulate some/bundle -t rpi5 --examples 3 --time-limit 90s --onnxruntime 1.22.0 "
        "--compare old.json --max-growth 2% --store kept --json -q"
    )
    assert run(words.split()) == 1
    assert {name: given[name] for name in given if name != "watcher"} == {
        "bundle": Path("some/bundle"),
        "target": "rpi5",
        "examples": 3,
        "time_limit_s": 90.0,
        "onnxruntime": "1.22.0",
        "compare": Path("old.json"),
        "growth_max": 0.02,
        "store": Path("kept"),
    }
    out, err = capsys.readouterr()
    assert json.loads(out)["processor"] == "cortex-a72"
    assert "on an emulated Raspberry Pi 4" in err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--max-growth 2%", "add --compare FILE"),
        ("--max-growth 2 --compare f", "Write e.g. 2%"),
        ("--time-limit soon", "--time-limit"),
        ("--examples 0", "0 is not in the range"),
    ],
)
def test_wrong_words(
    given: dict[str, Any], capsys: pytest.CaptureFixture[str], words: str, part: str
) -> None:
    assert run(["emulate", "bundle", *words.split()]) == 2
    assert part in " ".join(capsys.readouterr().err.split())
    assert not given
