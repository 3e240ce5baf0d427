"""What was fitted on top of the datasheets: factors on the terms of a request's time, and bands.

In: a setting and the kind of work. Out: a factor for each term, and what the prediction rests on:
rows of this device, of others of its class with the same runtime, of its class alone, or of none.
data/efficiencies.toml holds the numbers; tools/fit_predictor.py writes it.

Every factor is a product over scopes, from the whole platform down to one runtime and arithmetic on
one class of devices. A scope without rows has no entry, and its factor is 1.
"""

import math
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final, Literal

import msgspec

from deployopt.planning.terms import TERMS, Domain, Setting

TABLE: Final = Path(__file__).parent / "data" / "efficiencies.toml"
Tier = Literal["device", "runtime", "class", "datasheet"]
ALL: Final = "all"
"""The factor on every term of a scope."""


class Coefficients(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`scopes`: factors by term; `rows`: fitted rows by `class, work` and below; bands by tier."""

    scopes: dict[str, dict[str, float]] = {}
    rows: dict[str, int] = {}
    bands: dict[str, dict[str, float]] = {}


def scopes_of(at: Setting, domain: Domain) -> tuple[str, ...]:
    """From the widest to the narrowest; what names a fitted factor."""
    platform, kind, runtime = at.platform, at.kind, at.runtime
    found = [
        f"{platform}",
        f"{platform}, {domain}",
        f"{kind}",
        f"{kind}, {domain}",
        f"runtime {runtime}",
        f"runtime {runtime}, {domain}",
        f"{kind}, {runtime}",
        f"{platform}, {at.arithmetic}",
        f"{kind}, {at.arithmetic}",
        f"{kind}, {runtime}, {at.arithmetic}",
    ]
    if at.variant:
        found.append(f"variant {at.variant}")
    if at.single:
        found.append(f"{kind}, one thread")
    if at.device is not None:
        work = "convolution" if domain == "convolution" else "transformer"
        found.append(f"device {at.device}, {work}")
    return tuple(found)


def level_of(scope: str) -> str:
    """The kind of a scope, by which its spread is set."""
    if scope.startswith(("device ", "variant ")):
        return scope.partition(" ")[0]
    return f"{'runtime' if scope.startswith('runtime') else 'class'} {scope.count(',')}"


def combine(seconds: Mapping[str, float], *, overlaps: bool) -> float:
    """The sum; launches hide behind work, or work behind launches, where both overlap."""
    work = sum(value for term, value in seconds.items() if term != "overhead")
    launches = seconds["overhead"]
    return max(work, launches) if overlaps else work + launches


def adjusted(
    seconds: Mapping[str, float], at: Setting, domain: Domain, fitted: Coefficients
) -> dict[str, float]:
    """The terms times their fitted factors."""
    factors = dict.fromkeys(TERMS, 0.0)
    for scope in scopes_of(at, domain):
        found = fitted.scopes.get(scope)
        if found:
            whole = math.log(found.get(ALL, 1.0))
            for term in TERMS:
                factors[term] += whole + math.log(found.get(term, 1.0))
    return {term: value * math.exp(factors[term]) for term, value in seconds.items()}


def tier_of(at: Setting, domain: Domain, fitted: Coefficients) -> Tier:
    """How near the fitted rows come to this setting."""
    keys: Iterable[tuple[Tier, str]] = (
        ("device", f"{at.device}, {at.runtime}, {domain}"),
        ("runtime", f"{at.kind}, {at.runtime}, {domain}"),
        ("class", f"{at.kind}, {domain}"),
    )
    least: Final = {"device": 3, "runtime": 3, "class": 3}
    for tier, key in keys:
        if fitted.rows.get(key, 0) >= least[tier]:
            return tier
    return "datasheet"


def row_keys(at: Setting, domain: Domain) -> tuple[str, ...]:
    """The entries of `rows` that a fitted row counts in."""
    return (
        f"{at.device}, {at.runtime}, {domain}",
        f"{at.kind}, {at.runtime}, {domain}",
        f"{at.kind}, {domain}",
    )


@cache
def shipped() -> Coefficients:
    """The fitted coefficients of the package."""
    return msgspec.convert(tomllib.loads(TABLE.read_text("utf-8")), Coefficients)
