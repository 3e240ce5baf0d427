"""The latency benchmark: its aims with whole devices left out, and tables that are odd."""

import csv
import subprocess
import sys
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.latency_fit import coefficients, design, fit, source
from benchmarks.latency_rows import COLUMNS
from benchmarks.latency_score import Report, Score, show
from benchmarks.predict import CALIBRATION, MORE, OWN, own_rows, score_own, score_table
from deployopt.planning.coefficients import shipped

ROOT = Path(__file__).parents[3]


@cache
def own() -> Report:
    return score_own()


def group(name: str) -> Score:
    return next(score for score in own().scores if score.group == name)


@pytest.mark.parametrize(
    ("name", "aim"), [("CPU conv nets", 28), ("transformers on GPUs", 18), ("LLM decode", 25)]
)
def test_aims_hold_with_whole_devices_left_out(name: str, aim: float) -> None:
    found = group(name)
    assert found.mape <= aim
    assert found.mape < 0.6 * min(found.naive.values())


def test_bands_hold_about_four_in_five() -> None:
    assert 75 <= group("all rows").covered <= 92
    for name in ("CPU conv nets", "GPU conv nets"):
        assert 75 <= group(name).covered <= 92
    # Nearly all of one page: its rows agree better with each other than with other pages.
    assert group("transformers on GPUs").covered >= 80


def test_every_row_is_scored_or_named() -> None:
    report = own()
    reasons = {reason: len(rows) for reason, rows in report.left.items()}
    assert reasons == {
        "low trust, as the table's note says": 1,
        "ncnn-Vulkan int8 ran largely off the GPU": 20,
    }
    read = 0
    for path in (CALIBRATION, MORE, OWN):
        with path.open() as file:
            read += len(list(csv.DictReader(file)))
    assert group("all rows").rows + 21 == read


def test_rows_of_a_page_count_once_in_a_band() -> None:
    rows, _ = own_rows()
    pages = {source(row) for row in rows}
    assert "github.com/Tencent/ncnn" in pages
    assert 10 < len(pages) < 40


def test_the_shipped_factors_are_what_the_rows_give() -> None:
    rows, _ = own_rows()
    of = design(rows)
    found = coefficients(of, fit(of, np.arange(len(rows))), rows)
    assert found.rows == shipped().rows
    assert set(found.scopes) == set(shipped().scopes)
    for scope, factors in found.scopes.items():
        assert factors == pytest.approx(shipped().scopes[scope], abs=0.005)


def test_rows_that_were_fitted_are_said_to_be() -> None:
    report = score_table(CALIBRATION)
    assert report.seen == report.scores[-1].rows
    assert report.scores[-1].mape < group("all rows").mape
    assert "were fitted on" in show(report)


def test_a_table_never_seen(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = [
        ["Raspberry Pi 5 8GB", "YOLO11m", "detection", "20.1", "68", "fp32", "1", "640",
         "onnxruntime-cpu", "1500", "ms"],
        ["rtx3070", "llama3-8b", "llm-decode", "8030", "16.1", "q4_k_m", "1", "tg512",
         "llama.cpp-cuda", "71", "tok/s"],
        ["teapot", "resnet50", "classification", "25.5", "7.7", "fp32", "1", "224", "ncnn", "9",
         "ms"],
        ["rpi4", "no-such-thing", "", "", "", "fp32", "1", "", "ncnn-cpu-4t", "9", "ms"],
        ["rpi4", "resnet50", "classification", "", "", "fp3", "1", "", "ncnn-cpu-4t", "9", "ms"],
        ["rpi4", "resnet50", "classification", "", "", "fp32", "1", "", "abacus", "9", "ms"],
        ["rpi4", "resnet50", "classification", "", "", "fp32", "1", "", "ncnn", "", "ms"],
    ]  # fmt: skip
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    run = subprocess.run(
        [sys.executable, "benchmarks/predict.py", "--latency", table, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = msgspec.convert(msgspec.json.decode(run.stdout)["latency"], Report)
    assert found.scores[-1].rows == 2
    assert found.scores[-1].mape < 60
    assert sum(len(rows) for rows in found.left.values()) == 5
    shown = show(found).replace(str(table), "table.csv")
    assert all(len(line) <= 80 for line in shown.splitlines()[:14])


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("device,model\nrpi4,resnet50\n")
    with pytest.raises(SystemExit, match="no column task"):
        score_table(table)
