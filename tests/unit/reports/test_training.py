"""A training's report: 80 columns, its figures, markup as plain text."""

import io

import msgspec
import pytest
from rich.console import Console

from deployopt.core.training_result import FinetuneResult
from deployopt.reports.training import print_finetune
from tests.fakes.training import finetune_result, tuned_result


def shown(result: FinetuneResult) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    print_finetune(result, console)
    stream = console.file
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


@pytest.mark.parametrize("epochs", [2, 3, 60])
def test_no_line_is_wider_than_the_terminal(epochs: int) -> None:
    for result in (finetune_result(epochs), tuned_result(epochs), tuned_result(better=False)):
        lines = shown(result).splitlines()
        # What is to be typed stays in one piece.
        wide = [line for line in lines if not line.startswith("deployopt build ")]
        assert max(len(line) for line in wide) <= 80
        assert len(lines) < 60


def test_what_counts_is_there() -> None:
    text = " ".join(shown(finetune_result()).split())
    assert "89.00% on 200 held-out examples, 83.80% to 93.00%" in text
    assert "1.30 x, outside the band" in text
    assert "batch 128 (32 x 2 accumulated x 2 processes)" in text
    assert "1 600 train, 200 validation, 200 held-out" in text
    assert "stopped: the time limit; resumed at step 50" in text
    assert "deployopt build --model ./minilm-tuned --target NAME" in text
    assert text.count("kept") == 1


def test_a_language_model_stands_beside_its_base() -> None:
    text = " ".join(shown(tuned_result()).split())
    assert "1.5420 nats a token, the base 2.7311, on 1 240 tokens of 32 held-out dialogues" in text
    assert "-43.5% (-46.1% to -41.0%, 95% each)" in text
    assert "NOT SHOWN" not in text
    assert "accuracy" not in text.lower()
    assert "label" not in text
    assert "--target NAME --data ./minilm-tuned/held-out.jsonl" in text


def test_nothing_gained_is_said_loudly() -> None:
    text = " ".join(shown(tuned_result(better=False)).split())
    assert "NOT SHOWN TO BE BETTER THAN THE BASE" in text
    assert "--target NAME --data TEXTS" in text


def test_markup_and_control_characters_stay_text() -> None:
    hostile = msgspec.structs.replace(
        finetune_result(), base="[red]\x1b[2Jx", warnings=("[bold]\x07y",)
    )
    text = shown(hostile)
    assert "[bold]" in text
    assert "\x1b" not in text
    assert "\x07" not in text
