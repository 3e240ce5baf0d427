"""A budget: a limit on a metric, as in `latency_p95 = "60 ms"` or `throughput = "100 /s"`."""

from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.metric import Kind, Metric, find_metric
from deployopt.core.units import parse_quantity, show_quantity

_MAY_BE_ZERO: Final = frozenset({Kind.ACCURACY, Kind.SCORE})
"""A model whose answers are the reference's own loses nothing."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole one-sided 95 % bound of `metric` must be inside `limit` (base unit)."""

    metric: str
    limit: float

    @property
    def definition(self) -> Metric:
        """The metric's entry in the table."""
        return find_metric(self.metric)

    def allows(self, value: float) -> bool:
        """Whether the value is inside: at most the limit, or for a throughput at least."""
        return value >= self.limit if self.definition.higher else value <= self.limit

    def worse(self, lower: float, upper: float) -> float:
        """The end of an interval that is nearer to a miss."""
        return lower if self.definition.higher else upper

    def better(self, lower: float, upper: float) -> float:
        """The other end."""
        return upper if self.definition.higher else lower

    @property
    def shown(self) -> str:
        """The limit for a person."""
        return show_quantity(self.limit, self.definition.dimension)


def parse_budget(name: str, text: str) -> Budget:
    """Read one budget.

    Raises:
        UsageError: unknown metric, or a limit without the metric's unit.
    """
    metric = find_metric(name)
    try:
        limit = parse_quantity(text, metric.dimension)
    except ValueError as error:
        raise UsageError(f"The budget {name} is wrong: {error}.") from error
    if limit == 0 and metric.kind not in _MAY_BE_ZERO:
        meets = "everything meets" if metric.higher else "nothing can meet"
        raise UsageError(f"The budget {name} is zero, which {meets}. Give a limit above 0.")
    if limit > 1 and metric.kind is Kind.AGREEMENT:
        raise UsageError(f"The budget {name} is {text}, and more than 100 % of nothing can agree.")
    return Budget(metric=name, limit=limit)


def parse_budget_option(option: str) -> Budget:
    """Read `latency_p95=60ms` as a command line gives it; raises UsageError."""
    name, sign, text = option.partition("=")
    if not sign:
        raise UsageError(f'--budget {option!r} has no "="; write for example latency_p95=60ms.')
    return parse_budget(name.strip(), text.strip())


def merge_budgets(base: tuple[Budget, ...], over: tuple[Budget, ...]) -> tuple[Budget, ...]:
    """`base` with the limits of `over` put in their place, sorted by metric."""
    merged = {b.metric: b for b in (*base, *over)}
    return tuple(merged[name] for name in sorted(merged))


def limit_of(budgets: Sequence[Budget], kind: Kind) -> float | None:
    """The first limit of this kind in base units; None where there is none."""
    return next((b.limit for b in budgets if b.definition.kind is kind), None)
