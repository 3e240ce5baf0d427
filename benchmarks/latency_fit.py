"""Fitting the factors of the additive latency model to measured rows.

In: rows. Out: coefficients, as the package ships them, and predictions for devices that were held
out. The factors are exponentials, so never negative, and their logarithms are drawn toward 0 by a
ridge: a scope that no row speaks of keeps the datasheet. Errors count relatively, as logarithms,
and large ones less (Huber). Every device has a factor of its own, so that one odd device does not
bend what is said of its class; a device that was held out has none.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.latency_rows import Row
from deployopt.planning.coefficients import (
    ALL,
    Coefficients,
    Tier,
    level_of,
    row_keys,
    scopes_of,
    tier_of,
)
from deployopt.planning.latency import band_of
from deployopt.planning.terms import TERMS, terms

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

SPREAD: Final = 0.3
"""How far the factor of a whole class lies from 1, as a natural logarithm."""
TERM_SPREAD: Final = 0.08
DEVICE_SPREAD: Final = 0.25
NOISE: Final = 0.3
"""What single rows are off by."""
_HUBER: Final = 1.5
_STEPS: Final = 40
_CLOSE: Final = 3e-3
_NEGLIGIBLE: Final = 1e-4
_MOVES: Final = 0.004
_OVERHEAD: Final = TERMS.index("overhead")

# (all terms, each term) by the number of commas in a scope: narrower scopes differ less.
_LEVELS: Final = {
    "class 0": (1.0, 1.0), "class 1": (0.8, 0.8), "class 2": (0.7, 0.7),
    "runtime 0": (1.0, 1.0), "runtime 1": (0.8, 0.8),
}  # fmt: skip

COVERED: Final = 0.82
"""The share of held-out errors inside a band: a little over the four in five that it promises."""
_PRIOR_BANDS: Final[dict[Tier, float]] = {
    "device": 1.5, "runtime": 1.7, "class": 2.2, "datasheet": 2.5,
}  # fmt: skip
_PRIOR_PAGES: Final = 3
"""As many pages as the assumed bands count for: rows of one page are off together."""
# Held-out errors of rows that come from one or two pages hide what pages differ by.
_FLOORS: Final[dict[tuple[str, Tier], float]] = {
    ("cpu, convolution", "runtime"): 1.6,
    ("gpu, encoder", "device"): 1.4,
}
# Decode reads weights and little else: the band that whole sources left out would draw held nearly
# every row, of foreign tables too, where four in five are promised.
_CEILINGS: Final[dict[str, float]] = {"gpu, decode": 1.35}
_LEAST_BAND: Final = 1.2
_LEAST_ROWS: Final = 4
"""Held-out errors that may widen a band; as many as the next may narrow it."""
_ENOUGH_ROWS: Final = 10
_FOLDS: Final = 5


class Design(NamedTuple):
    """`seconds` by row and term; `acts`: 1 where a factor acts on them; `spreads` of factors."""

    seconds: Array
    acts: Array
    names: tuple[tuple[str, str], ...]
    spreads: Array
    measured: Array
    overlaps: npt.NDArray[np.bool_]


class Miss(NamedTuple):
    """How far a held-out prediction lay off, as a logarithm, and the page of its row."""

    far: float
    source: str


class Held(NamedTuple):
    """A prediction made without the row's device (or model), and the tier that it stood on."""

    seconds: float
    tier: Tier


def design(rows: Sequence[Row]) -> Design:
    """The rows as arrays."""
    seconds = np.array([list(terms(row.operations, row.setting).values()) for row in rows])
    shares = seconds / seconds.sum(axis=1, keepdims=True)
    index: dict[tuple[str, str], int] = {}
    spreads: list[float] = []
    found: list[tuple[int, int, int]] = []
    for at, row in enumerate(rows):
        scopes = scopes_of(row.setting, row.domain)
        for position in np.flatnonzero(shares[at] > _NEGLIGIBLE):
            for name, spread in _named(scopes, TERMS[position]):
                if name not in index:
                    index[name] = len(spreads)
                    spreads.append(spread)
                found.append((at, int(position), index[name]))
    acts = np.zeros((len(rows), len(TERMS), len(spreads)))
    acts[tuple(np.array(found).T)] = 1.0
    return Design(
        seconds=seconds,
        acts=acts,
        names=tuple(index),
        spreads=np.array(spreads),
        measured=np.array([row.seconds for row in rows]),
        overlaps=np.array([row.setting.overlaps for row in rows]),
    )


def _named(scopes: Sequence[str], term: str) -> Iterator[tuple[tuple[str, str], float]]:
    """The factors on a term, and how far each may lie from 1."""
    for scope in scopes:
        for name, spread in zip((ALL, term), _spreads(scope), strict=True):
            if spread:
                yield (scope, name), spread


def _spreads(scope: str) -> tuple[float, float]:
    level = level_of(scope)
    if level in _LEVELS:
        whole, each = _LEVELS[level]
        return whole * SPREAD, each * TERM_SPREAD
    return (DEVICE_SPREAD, 0.0)


def predict(of: Design, logs: Array, chosen: Places) -> tuple[Array, Array]:
    """Seconds of the chosen rows, and the share that each term has in them."""
    seconds = of.seconds[chosen] * np.exp(of.acts[chosen] @ logs)
    launches = seconds[:, _OVERHEAD].copy()
    work = seconds.sum(axis=1) - launches
    hidden = of.overlaps[chosen]
    seconds[hidden & (launches > work)] = 0.0
    seconds[:, _OVERHEAD] = np.where(hidden & (launches <= work), 0.0, launches)
    whole = seconds.sum(axis=1)
    return whole, seconds / whole[:, None]


def fit(of: Design, chosen: Places, start: Array | None = None) -> Array:
    """The logarithms of the factors by Gauss-Newton, ridge toward 0, solved in the rows' space."""
    logs = np.zeros(len(of.spreads)) if start is None else start.copy()
    pull = NOISE**2 / of.spreads**2
    measured, acts = np.log(of.measured[chosen]), of.acts[chosen]
    for _ in range(_STEPS):
        seconds, shares = predict(of, logs, chosen)
        errors = measured - np.log(seconds)
        weights = np.sqrt(np.minimum(1.0, _HUBER * NOISE / np.maximum(np.abs(errors), 1e-9)))
        slopes = np.matmul(shares[:, None, :], acts)[:, 0, :]
        weighted = slopes * weights[:, None]
        wanted = (errors + slopes @ logs) * weights
        inner = (weighted / pull) @ weighted.T + np.eye(len(chosen))
        step = (weighted.T @ np.linalg.solve(inner, wanted)) / pull - logs
        far = float(np.abs(step).max())
        logs += step * min(1.0, 1.0 / max(far, 1e-9))
        if far < _CLOSE:
            break
    return logs


def coefficients(of: Design, logs: Array, rows: Sequence[Row]) -> Coefficients:
    """As shipped, without bands."""
    scopes: dict[str, dict[str, float]] = {}
    for (scope, term), value in zip(of.names, logs, strict=True):
        factor = round(math.exp(float(value)), 3)
        if abs(factor - 1) > _MOVES:
            scopes.setdefault(scope, {})[term] = factor
    counts = Counter(key for row in rows for key in row_keys(row.setting, row.domain))
    return Coefficients(scopes=scopes, rows=dict(counts))


def hold_out(rows: Sequence[Row], name: Callable[[Row], str], *, offsets: bool) -> list[Held]:
    """Each row predicted from those that `name` tells apart from it.

    `offsets`: devices keep the factor of their own, for folds that leave other rows of them in.
    """
    of = design(rows)
    names = np.array([name(row) for row in rows])
    whole = fit(of, np.arange(len(rows)))
    own = [at for at, (scope, _) in enumerate(of.names) if scope.startswith("device ")]
    found: list[Held | None] = [None] * len(rows)
    for out in sorted(set(names)):
        kept, held = np.flatnonzero(names != out), np.flatnonzero(names == out)
        logs = fit(of, kept, whole)
        if not offsets:
            logs[own] = 0.0
        seconds, _ = predict(of, logs, held)
        counts = coefficients(of, logs * 0.0, [rows[int(at)] for at in kept])
        for at, value in zip(held.tolist(), seconds, strict=True):
            tier = tier_of(rows[at].setting, rows[at].domain, counts)
            found[at] = Held(float(value), tier)
    return [one for one in found if one is not None]


def bands(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """The factor that holds four errors of five, by kind of work and tier, from held-out rows.

    Devices, models and whole sources are held out in turn: rows of one page hide what pages differ
    by. Few errors can widen a band but not narrow it.
    """
    errors: dict[tuple[str, Tier], list[Miss]] = {}
    by_device = hold_out(rows, lambda row: row.device, offsets=False)
    models = sorted({row.model.removesuffix("_int8") for row in rows})
    fold = {model: str(at % _FOLDS) for at, model in enumerate(models)}
    by_model = hold_out(rows, lambda row: fold[row.model.removesuffix("_int8")], offsets=True)
    by_source = hold_out(rows, source, offsets=False)
    for helds, wanted in ((by_device, False), (by_model, True), (by_source, False)):
        for row, held in zip(rows, helds, strict=True):
            if (held.tier == "device") is wanted:
                key = f"{row.setting.platform}, {row.domain}"
                far = abs(math.log(held.seconds / row.seconds))
                errors.setdefault((key, held.tier), []).append(Miss(far, source(row)))
    return {key: _widening(key, errors) for key in sorted({key for key, _ in errors})}


def source(row: Row) -> str:
    """The page or project that a row is from, without its version."""
    return re.split(r"[@ (]", row.fields.get("source", ""))[0].removesuffix("/issues")


def _widening(key: str, errors: Mapping[tuple[str, Tier], list[Miss]]) -> dict[str, float]:
    """The bands of one kind of work; what stands on less is never the narrower."""
    found: dict[str, float] = {}
    least = _LEAST_BAND
    for tier, assumed in _PRIOR_BANDS.items():
        misses = errors.get((key, tier), [])
        drawn, count = math.log(assumed), len(misses)
        if count >= _LEAST_ROWS:
            band = _held_by_pages(misses)
            pages = len({miss.source for miss in misses})
            narrower = (pages * band + _PRIOR_PAGES * drawn) / (pages + _PRIOR_PAGES)
            drawn = max(band, narrower if count >= _ENOUGH_ROWS else drawn)
        least = max(least, math.exp(drawn), _FLOORS.get((key, tier), 1.0))
        if tier != "datasheet":
            least = min(least, _CEILINGS.get(key, least))
        found[tier] = round(least, 2)
    return found


def _held_by_pages(misses: Sequence[Miss]) -> float:
    """What holds the share `COVERED` of the errors, every page counting as much as another."""
    rows = Counter(miss.source for miss in misses)
    passed = 0.0
    for miss in sorted(misses):
        passed += 1 / (rows[miss.source] * len(rows))
        if passed >= COVERED:
            return miss.far
    return max(miss.far for miss in misses)


def fitted(rows: Sequence[Row]) -> Coefficients:
    """What the package ships: factors, counts and bands."""
    of = design(rows)
    plain = coefficients(of, fit(of, np.arange(len(rows))), rows)
    return Coefficients(scopes=plain.scopes, rows=plain.rows, bands=bands(rows))


def band(row: Row, tier: Tier, of: Coefficients) -> float:
    """The band of a held-out prediction."""
    return band_of(row.setting, row.domain, tier, of)
