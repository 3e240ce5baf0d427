"""How near do predictions of memory come to measurements, and do their bands hold them?

    python benchmarks/memory_table.py [TABLE.csv]

In: a table with the columns model, params_b, setting, seq, batch, kind, measured_gb, unit, source,
note; by default the repository's own. Out: lines with the mean absolute error by kind and by
source, the share of rows within the band, the worst rows, and the rules of thumb beside it. Rows
that cannot be read are counted and named. No constant is fitted to any row; what is known of a
source is how it measured and ran. The second figure is of rows read without that: what to expect
of a source that nothing is known of.
"""

import csv
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.memory_conventions import Convention, convention_of
from benchmarks.memory_predicting import Predicted, predict_row
from benchmarks.memory_settings import Row
from deployopt.core.errors import UsageError

OWN: Final = Path(__file__).parent / "data" / "memory_calibration.csv"
COLUMNS: Final = (
    "model", "params_b", "setting", "seq", "batch", "kind", "measured_gb", "unit", "source", "note",
)  # fmt: skip
_OPTIONAL: Final = frozenset({"note"})
_WORST: Final = 8


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """One row with what is predicted for it."""

    row: Row
    predicted: Predicted

    @property
    def error(self) -> float:
        """Relative and signed: above zero is predicted too high."""
        return self.predicted.estimate.value / self.predicted.measured - 1

    @property
    def held(self) -> bool:
        """Whether the measurement lies in the printed band."""
        estimate = self.predicted.estimate
        return estimate.lower <= self.predicted.measured <= estimate.upper


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """All rows that could be read, and one sentence for each that could not."""

    rows: tuple[Scored, ...]
    unread: tuple[str, ...]
    plain: tuple[Scored, ...] = ()
    """The same rows, read without their sources' conventions."""

    @property
    def mape(self) -> float:
        """Mean absolute error, as a share."""
        return statistics.fmean(abs(scored.error) for scored in self.rows)

    @property
    def coverage(self) -> float:
        """The share of rows within their bands."""
        return statistics.fmean(scored.held for scored in self.rows)


def score(path: Path | None = None) -> list[str]:
    """The lines to print for a table; None is the repository's own.

    Raises:
        UsageError: the file cannot be read or lacks a column.
    """
    return list(lines(score_rows(read_rows(path or OWN))))


def read_rows(path: Path) -> list[Row]:
    """The rows as text; raises UsageError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = set(COLUMNS) - _OPTIONAL - set(reader.fieldnames or ())
            if missing:
                names = ", ".join(sorted(missing))
                raise UsageError(f"{path}: the table lacks the columns {names}.")
            return [Row(**{name: line.get(name) or "" for name in COLUMNS}) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: the table cannot be read: {error}.") from error


def score_rows(rows: Iterable[Row]) -> Scores:
    """Every row predicted; one that cannot be read is named with its reason."""
    scored, plain, unread = [], [], []
    for number, row in enumerate(rows, 2):
        try:
            predicted = predict_row(row)
            if predicted.measured <= 0:
                unread.append(f"line {number} ({row.model}, {row.setting}): nothing was measured")
                continue
            scored.append(Scored(row=row, predicted=predicted))
            plain.append(Scored(row=row, predicted=predict_row(row, Convention())))
        except (ValueError, UsageError) as error:
            unread.append(f"line {number} ({row.model}, {row.setting}): {error}")
    return Scores(rows=tuple(scored), unread=tuple(unread), plain=tuple(plain))


def lines(scores: Scores) -> Iterable[str]:
    """The report, a line at a time."""
    yield f"memory: {len(scores.rows)} rows read, {len(scores.unread)} not"
    yield from (f"  not read: {sentence}" for sentence in scores.unread)
    if not scores.rows:
        return
    yield "no constant is fitted to rows; of some sources it is known how they measured and ran"
    yield from _group("all", scores.rows)
    yield from _group("all, without its source's convention", scores.plain)
    for title, key in (("kind", _kind), ("source", _source), ("shape", _how)):
        yield f"by {title}"
        for name in sorted({key(scored) for scored in scores.rows}):
            yield from _group(f"  {name}", [s for s in scores.rows if key(s) == name])
    yield "by source, without its convention"
    for name in sorted({_source(scored) for scored in scores.plain if _known(scored)}):
        yield from _group(f"  {name}", [s for s in scores.plain if _source(s) == name])
    yield "rules of thumb, mean absolute error"
    yield from (f"  {name}: {_rule(scores.rows, rule)}" for name, rule in _RULES.items())
    yield "worst rows"
    worst = sorted(scores.rows, key=lambda scored: -abs(scored.error))[:_WORST]
    yield from (f"  {_shown(scored)}" for scored in worst)
    passed = sorted({word for scored in scores.rows for word in scored.predicted.unread})
    if passed:
        yield f"words passed over: {', '.join(passed)}"


def _group(name: str, rows: Sequence[Scored]) -> Iterable[str]:
    errors = [abs(scored.error) for scored in rows]
    bias = statistics.median(scored.error for scored in rows)
    held = statistics.fmean(scored.held for scored in rows)
    low, high = (statistics.median(edge) for edge in zip(*map(_edges, rows), strict=True))
    yield (
        f"{name}: {len(rows)} rows, MAPE {_percent(statistics.fmean(errors))}, median "
        f"{_percent(statistics.median(errors))}, bias {_percent(bias)}, in band {_percent(held)}, "
        f"median band x {low:.2f} to {high:.2f}"
    )


def _edges(scored: Scored) -> tuple[float, float]:
    estimate = scored.predicted.estimate
    return estimate.lower / estimate.value, estimate.upper / estimate.value


def _known(scored: Scored) -> bool:
    return convention_of(scored.row.source) != Convention()


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _kind(scored: Scored) -> str:
    return scored.row.kind


def _source(scored: Scored) -> str:
    return scored.row.source.split(" (")[0].split("@")[0][:60]


def _how(scored: Scored) -> str:
    return scored.predicted.how


def _shown(scored: Scored) -> str:
    row, estimate = scored.row, scored.predicted.estimate
    value, low, high, measured = (
        number / 1e9
        for number in (estimate.value, estimate.lower, estimate.upper, scored.predicted.measured)
    )
    where = f"{row.model} {row.setting}, seq {row.seq or '-'}, batch {row.batch or '-'}"
    return (
        f"{where}: measured {measured:.2f} GB, predicted {value:.2f} ({low:.2f} to {high:.2f}), "
        f"{100 * scored.error:+.1f} %"
    )


def _rule(rows: Sequence[Scored], rule: Callable[[Predicted], float]) -> str:
    errors = [abs(rule(s.predicted) / s.predicted.measured - 1) for s in rows]
    return _percent(statistics.fmean(errors))


_RULES: Final[dict[str, Callable[[Predicted], float]]] = {
    "weights x 1.2": lambda p: 1.2 * p.weight_bytes,
    "weights x 1.4": lambda p: 1.4 * p.weight_bytes,
    "weights x 1.2, training fp32 weights x 4": lambda p: (
        16.0 * p.parameters if p.trained else 1.2 * p.weight_bytes
    ),
    "parameters x 2 B x 1.2": lambda p: 2.4 * p.parameters,
}


def main() -> None:
    """Print the report of the table that is named."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print("\n".join(score(path)))


if __name__ == "__main__":
    main()
