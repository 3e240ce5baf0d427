"""A student beside its teacher at 80 columns: sizes, loss and bound; hostile names are text."""

import io

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from deployopt.core.distill_result import DistillResult
from deployopt.reports.distilling import print_distill
from tests.fakes.payloads import payloads
from tests.fakes.students import distill_result


def shown(result: DistillResult) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    print_distill(result, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_pair_and_the_loss() -> None:
    text = shown(distill_result())
    assert [x for x in text.splitlines() if cell_len(x.rstrip()) > 80] == []
    flat = " ".join(text.replace("\u00a0", " ").split())
    for part in (
        "A student of demo-sentiment",
        "cut from the teacher, layers 0, 2, 4 kept",
        "layers 6 3",
        "feed-forward neurons 1 536 768",
        "parameters 22.9 M 15.8 M",
        "work, 26 tokens 290 M multiply-adds 96.0 M multiply-adds",
        "3.02 times less than the teacher's",
        "accuracy, held out 87.20% (86.0 to 88.3) 85.60% (84.4 to 86.7)",
        "1.61 pt, at most 2.46 pt with 95% confidence: 170 lost and 117 gained",
        "before — 52.00%",
        "2 0.4200 91.10% 0.1100 ← kept",
        "the time limit was reached",
        "12 texts resemble ones that judge",
        "deployopt build --model student --target NAME",
    ):
        assert part in flat, part


def test_without_labels_only_agreement_is_told() -> None:
    flat = " ".join(shown(distill_result(labelled=False)).split())
    assert "if the teacher is always right: nothing is labelled" in flat
    assert "accuracy, held out — —" in flat


def test_what_was_made_before_says_so() -> None:
    again = msgspec.structs.replace(distill_result(), reused=True, macs_ratio=None)
    text = shown(again)
    assert "found in the store" in " ".join(text.split())
    assert "times less" not in text


@pytest.mark.parametrize("payload", payloads()[:40])
def test_hostile_names_are_text(payload: str) -> None:
    text = shown(distill_result(words=payload))
    assert "\x1b" not in text
    assert [x for x in text.splitlines() if cell_len(x.rstrip()) > 80] == []
