"""Predictions of memory against measurements: how near, and how often the band holds them."""

import csv
from pathlib import Path

import pytest

from benchmarks.memory_table import COLUMNS, OWN, lines, read_rows, score, score_rows
from deployopt.core.errors import UsageError

HELD_OUT = """\
model,params_b,setting,seq,batch,kind,measured_gb,unit,source,note
meta-llama/Llama-2-7b-chat-hf,6.74,fp16,,,inference,13.9,GB,a page,
somebody/unheard-of-7b,7,int8 bnb,512,1,inference,7.9,GiB,a page,
gemma-2-9b,9.24,full ft adamw,512,1,full,150,GB,a page,
mistral-7b,7.24,"zero2 4xA100, flux capacitor",1k,2,full,60,GB,a page,
sdxl,2.6,fp16,1024x1024,1,inference,10.5,GB,a page,
bert-base,0.11,fp16,short,8,inference,1100,MiB,a page,
nameless,,fp16,512,1,inference,10,GB,a page,
t5-large,0.74,fp16,512,1,inference,2.3,furlongs,a page,
t5-large,0.74,fp16,long,1,inference,2.3,GB,a page,
phi-2,2.78,fp16,512,1,inference,0,GB,a page,
"""


def test_the_aims_hold_with_every_source_left_out() -> None:
    """Nothing is fitted to rows, so each source is predicted as if it were left out."""
    scores = score_rows(read_rows(OWN))
    assert len(scores.rows) == 85
    assert not scores.unread
    assert scores.mape <= 0.06
    assert scores.coverage >= 0.95


def test_the_aims_hold_for_sources_that_nothing_is_known_of() -> None:
    """Read without their conventions: units, what was measured, how adapters were placed."""
    scores = score_rows(read_rows(OWN))
    assert sum(abs(scored.error) for scored in scores.plain) / 85 <= 0.10
    assert sum(scored.held for scored in scores.plain) / 85 >= 0.90
    (line,) = (one for one in lines(scores) if one.startswith("all, without its source"))
    assert "85 rows" in line


def test_bands_are_narrow_enough_to_say_something() -> None:
    widths = sorted(
        scored.predicted.estimate.upper / scored.predicted.estimate.lower
        for scored in score_rows(read_rows(OWN)).rows
    )
    assert widths[len(widths) // 2] < 1.7
    assert widths[len(widths) * 9 // 10] < 2.6


def test_every_source_with_several_rows_is_predicted_well() -> None:
    scores = score_rows(read_rows(OWN))
    for source in ("Lightning-AI/litgpt", "QwenLM/Qwen@", "QwenLM/Qwen2.5"):
        errors = [abs(s.error) for s in scores.rows if source in s.row.source]
        assert len(errors) > 10
        assert sum(errors) / len(errors) <= 0.09


def test_the_rules_of_thumb_are_worse() -> None:
    report = score()
    start = report.index("rules of thumb, mean absolute error")
    figures = [
        float(line.split(": ")[1].removesuffix(" %")) for line in report[start + 1 : start + 5]
    ]
    assert min(figures) > 30


def test_a_strange_table_is_read_and_what_cannot_be_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(HELD_OUT, "utf-8")
    scores = score_rows(read_rows(path))
    assert len(scores.rows) == 6
    assert [sentence.split(":")[0] for sentence in scores.unread] == [
        "line 8 (nameless, fp16)",
        "line 9 (t5-large, fp16)",
        "line 10 (t5-large, fp16)",
        "line 11 (phi-2, fp16)",
    ]
    hows = {scored.row.model: scored.predicted.how for scored in scores.rows}
    assert hows["meta-llama/Llama-2-7b-chat-hf"] == "by name"
    assert hows["somebody/unheard-of-7b"] == "the usual shape at that size"
    assert "words passed over: capacitor, flux" in list(lines(scores))
    for scored in scores.rows:
        ratio = scored.predicted.estimate.value / scored.predicted.measured
        assert scored.held or 0.4 < ratio < 2.5


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with path.open("w", encoding="utf-8") as file:
        csv.writer(file).writerow([name for name in COLUMNS if name != "unit"])
    with pytest.raises(UsageError, match="lacks the columns unit"):
        score(path)


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        score(tmp_path / "none.csv")


def test_a_table_of_nothing_has_a_report(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(",".join(COLUMNS) + "\n", "utf-8")
    assert score(path) == ["memory: 0 rows read, 0 not"]


def test_the_aims_hold_on_further_rows() -> None:
    """Of the same pages; a few were looked at while the formulas were chosen, most were not."""
    scores = score_rows(read_rows(OWN.with_name("memory_more.csv")))
    assert len(scores.rows) > 100
    assert not scores.unread
    assert scores.mape <= 0.09
    assert scores.coverage >= 0.90
