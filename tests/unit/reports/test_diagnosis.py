"""The doctor's page: 80 columns, a mend under what can be mended, a conclusion."""

import io

import pytest
from rich.console import Console

from deployopt.core.diagnosis import Diagnosis, Finding, State
from deployopt.reports.diagnosis import print_diagnosis
from tests.fakes.results import MACHINE

GOOD = Finding(topic="onnxruntime", state=State.GOOD, says="1.31.1")
NOISE = Finding(topic="governor", state=State.WARNING, says="ondemand " * 20, mend="set it " * 20)
BROKEN = Finding(topic="onnxruntime", state=State.BROKEN, says="two \x1b[31m of them", mend="one")


def shown(*conditions: Finding) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False)
    print_diagnosis(Diagnosis(machine=MACHINE, installs=(GOOD,), conditions=conditions), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("conditions", "conclusion"),
    [
        ((), "Nothing that spoils measurements was found."),
        ((NOISE,), "1 thing may spoil measurements; see ! above."),
        ((NOISE, BROKEN), "1 thing cannot work; see ✗ above."),
    ],
)
def test_it_ends_with_a_conclusion(conditions: tuple[Finding, ...], conclusion: str) -> None:
    text = shown(*conditions)
    assert text.splitlines()[-1].strip() == conclusion
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "\x1b[31m" not in text


def test_what_can_be_mended_says_how() -> None:
    assert "→ set it" in shown(NOISE)
    assert "none that is shipped" in shown()


def test_broken_fails_and_noise_does_not() -> None:
    assert Diagnosis(machine=MACHINE, conditions=(NOISE,)).exit_code == 0
    assert Diagnosis(machine=MACHINE, installs=(BROKEN,)).exit_code == 5
