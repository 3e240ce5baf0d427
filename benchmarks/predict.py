"""How good are the predictions of latency and memory on published tables?

    python benchmarks/predict.py [--latency TABLE.csv] [--memory TABLE.csv] [--json]

Without a table: the repository's own, leaving whole devices (latency) or sources (memory) out. With
one: that table, with the coefficients as shipped; its columns are those of data/*.csv.
Each error stands beside that of rules of thumb; rows that are not predicted are counted and named.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

import msgspec

# The systems are small: more threads only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import memory_table
from benchmarks.latency_fit import band, hold_out
from benchmarks.latency_rows import Left, Row, read_rows
from benchmarks.latency_score import Prediction, Report, left_out, score, show
from deployopt.core.errors import UsageError
from deployopt.planning.coefficients import shipped, tier_of
from deployopt.planning.latency import time_setting

DATA: Final = Path(__file__).resolve().parent / "data"
CALIBRATION: Final = DATA / "latency_calibration.csv"
MORE: Final = DATA / "latency_more.csv"
OWN: Final = DATA / "latency_own.csv"


def main() -> int:
    """Score what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency", type=Path, help="a table of latencies to score")
    parser.add_argument("--memory", type=Path, help="a table of memory figures to score")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args()
    for path in (asked.latency, asked.memory):
        if path is not None and not path.is_file():
            parser.error(f"there is no file {path}")
    own = asked.latency is None and asked.memory is None
    found: dict[str, object] = {}
    if own or asked.latency is not None:
        report = score_table(asked.latency) if asked.latency else score_own()
        found["latency"] = report
        if not asked.json:
            print(show(report), end="\n\n")
    if own or asked.memory is not None:
        try:
            _memory(asked.memory, found, as_json=asked.json)
        except UsageError as error:
            parser.error(str(error))
    if asked.json:
        print(msgspec.json.encode(found).decode())
    return 0


def own_rows() -> tuple[list[Row], list[Left]]:
    """The rows that the shipped coefficients are fitted to."""
    rows: list[Row] = []
    left: list[Left] = []
    for path in (CALIBRATION, MORE, OWN):
        found, passed = read_rows(path)
        rows += found
        left += passed
    return rows, left


def score_own() -> Report:
    """The repository's rows, each predicted by a fit without its device."""
    rows, left = own_rows()
    whole = shipped()
    predictions = [
        Prediction(seconds=held.seconds, band=band(row, held.tier, whole), tier=held.tier)
        for row, held in zip(
            rows, hold_out(rows, lambda row: row.device, offsets=False), strict=True
        )
    ]
    return Report(
        table=", ".join(path.name for path in (CALIBRATION, MORE, OWN)),
        how="each row predicted by a fit that leaves its whole device out",
        scores=score(rows, predictions, rows),
        left=left_out(left),
        seen=0,
    )


def score_table(path: Path) -> Report:
    """Another table with the coefficients as shipped."""
    rows, left = read_rows(path)
    known, _ = own_rows()
    whole = shipped()
    predictions = []
    for row in rows:
        timing = time_setting(row.setting, row.operations, row.domain, whole)
        tier = tier_of(row.setting, row.domain, whole)
        predictions.append(Prediction(seconds=timing.seconds, band=timing.band, tier=tier))
    fitted_on = {_identity(row) for row in known}
    return Report(
        table=str(path),
        how="coefficients as shipped",
        scores=score(rows, predictions, known),
        left=left_out(left),
        seen=sum(_identity(row) in fitted_on for row in rows),
    )


def _identity(row: Row) -> tuple[str, ...]:
    names = ("device", "model", "precision", "batch", "input", "runtime", "latency_ms_or_tok_s")
    return tuple(row.fields[name] for name in names)


def _memory(path: Path | None, found: dict[str, object], *, as_json: bool) -> None:
    lines = memory_table.score(path)
    found["memory"] = lines
    if not as_json:
        print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
