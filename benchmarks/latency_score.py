"""How far predictions lie from measured rows, by group, beside rules of thumb.

In: rows, predictions with their bands. Out: for each group the number of rows, mean and median
absolute error in per cent, the share of rows inside the band, and the same error of the rules: work
over peak, a constant times the work, a constant times the parameters. The constants are those of
the least error on the group's rows on other devices.
"""

from collections.abc import Callable, Sequence
from statistics import mean, median
from typing import Final

import msgspec

from benchmarks.latency_rows import GROUPS, Left, Row

ALL: Final = "all rows"


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of one row, the factor of its band, and the tier that it stands on."""

    seconds: float
    band: float
    tier: str


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Errors in per cent; `naive` by rule."""

    group: str
    rows: int
    mape: float
    median: float
    covered: float
    band: float
    tiers: dict[str, int]
    naive: dict[str, float]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that is printed of one latency table."""

    table: str
    how: str
    scores: tuple[Score, ...]
    left: dict[str, tuple[str, ...]]
    """Reason to rows: `line 12: device, model`."""
    seen: int
    """Rows that were fitted on as well."""


RULES: Final[dict[str, Callable[[Row], float]]] = {
    "work/peak": lambda row: row.gflops * 1e9 / row.setting.operations,
    "k*work": lambda row: row.gflops,
    "k*params": lambda row: row.params_m,
}


def score(
    rows: Sequence[Row], predictions: Sequence[Prediction], known: Sequence[Row]
) -> tuple[Score, ...]:
    """By group and over all; `known` are the rows that the rules' constants may be read off."""
    found = []
    for group in (*GROUPS, ALL):
        pairs = [
            (row, p) for row, p in zip(rows, predictions, strict=True) if group in {row.group, ALL}
        ]
        if pairs:
            found.append(_score(group, pairs, known))
    return tuple(found)


def _score(group: str, pairs: list[tuple[Row, Prediction]], known: Sequence[Row]) -> Score:
    errors = [error(p.seconds, row) for row, p in pairs]
    inside = [row.seconds / p.band <= p.seconds <= row.seconds * p.band for row, p in pairs]
    tiers = [p.tier for _, p in pairs]
    return Score(
        group=group,
        rows=len(pairs),
        mape=100 * mean(errors),
        median=100 * median(errors),
        covered=100 * mean(inside),
        band=median(p.band for _, p in pairs),
        tiers={tier: tiers.count(tier) for tier in sorted(set(tiers))},
        naive={rule: 100 * mean(_by_rule(rule, row, known) for row, _ in pairs) for rule in RULES},
    )


def error(seconds: float, row: Row) -> float:
    """Of the figure as the table has it: a time, or a rate of tokens."""
    if _is_rate(row):
        return abs(row.seconds / seconds - 1)
    return abs(seconds / row.seconds - 1)


def _by_rule(rule: str, row: Row, known: Sequence[Row]) -> float:
    measure = RULES[rule]
    if rule == "work/peak":
        return error(measure(row), row)
    others = [o for o in known if o.group == row.group and o.device != row.device]
    if not others:
        return error(measure(row) / 1e9, row)
    return error(measure(row) * _best_constant([(o, measure(o)) for o in others]), row)


def _best_constant(pairs: list[tuple[Row, float]]) -> float:
    """The least mean error: a median of the ratios, each weighed by how much it counts."""
    ratios = sorted(
        (row.seconds / size, row.seconds / size if _is_rate(row) else size / row.seconds)
        for row, size in pairs
    )
    half, passed = sum(weight for _, weight in ratios) / 2, 0.0
    for ratio, weight in ratios:
        passed += weight
        if passed >= half:
            return ratio
    return ratios[-1][0]


def _is_rate(row: Row) -> bool:
    return "tok" in row.fields["unit"].lower()


def left_out(left: Sequence[Left]) -> dict[str, tuple[str, ...]]:
    """Rows that are not predicted, by reason."""
    found: dict[str, list[str]] = {}
    for one in left:
        found.setdefault(one.reason, []).append(f"line {one.line}: {one.device}, {one.model}")
    return {reason: tuple(rows) for reason, rows in sorted(found.items())}


_RULES: Final = f"{'work/':>7}{'k x':>7}{'k x':>7}"


def show(report: Report) -> str:
    """For people, at 80 columns."""
    lines = [
        f"Latency: {report.table}",
        f"  {report.how}",
        "",
        f"{'':21}{'rows':>5}{'MAPE':>7}{'median':>7}{'in band':>8}{'band':>7} |{_RULES}",
        f"{'':21}{'':>5}{'%':>7}{'%':>7}{'%':>8}{'x/÷':>7} |{'peak':>7}{'work':>7}{'params':>7}",
    ]
    for one in report.scores:
        naive = "".join(f"{min(one.naive[rule], 99999):7.0f}" for rule in RULES)
        lines.append(
            f"{one.group:21}{one.rows:5}{one.mape:7.1f}{one.median:7.1f}{one.covered:8.0f}"
            f"{one.band:7.2f} |{naive}"
        )
    lines.append("")
    for one in report.scores[-1:]:
        tiers = ", ".join(f"{count} {tier}" for tier, count in one.tiers.items())
        lines.append(f"  What the predictions stand on: {tiers}.")
    if report.seen:
        lines.append(f"  {report.seen} of these rows were fitted on.")
    return "\n".join(lines + _left_lines(report.left))


def _left_lines(left: dict[str, tuple[str, ...]]) -> list[str]:
    if not left:
        return ["  Every row is predicted."]
    count = sum(len(rows) for rows in left.values())
    lines = [f"  Not predicted: {count} rows."]
    for reason, rows in left.items():
        named = "; ".join(rows[:3]) + ("; …" if len(rows) > 3 else "")
        lines += [f"    {len(rows)} x {reason}", f"      {named}"]
    return lines
