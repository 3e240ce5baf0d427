"""Made-up models and what they would do on a target: builders, not fixtures of data."""

from collections.abc import Callable
from typing import Any

import pytest

from deployopt.catalogue.models import Entry, Quality
from deployopt.core.artifact import Precision
from deployopt.core.evidence import Estimate
from deployopt.core.memory import MemoryNeed, Part
from deployopt.core.request import RecommendRequest
from deployopt.core.standing import Standing
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.candidate import Candidate, Footing
from deployopt.planning.recommending.wants import Wants, read_wants
from deployopt.planning.targets import load_target


def around(value: float, factor: float = 2.0) -> Estimate:
    return Estimate(
        value=value, lower=value / factor, upper=value * factor, basis="datasheet only; a model"
    )


def _entry(alias: str = "one", **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "alias": alias,
        "title": alias.title(),
        "tasks": (ModelTask.TEXT_CLASSIFICATION,),
        "tier": "light",
        "family": alias,
        "repository": f"org/{alias}",
        "parameters": 10_000_000,
        "size_bytes": 40_000_000,
        "licence": "apache-2.0",
        "commercial": True,
        "least_examples": 500,
        "config": {"architectures": ["BertForSequenceClassification"]},
    }
    return Entry(**{**fields, **changes})


def figure_of(value: float, metric: str = "accuracy", data: str = "SST-2 test") -> Quality:
    return Quality(metric=metric, value=value, data=data, source="a paper")


def footing(
    seconds: float | None = 0.1,
    precision: Precision = Precision.FP32,
    standing: Standing = Standing.INSIDE,
    within: Standing | None = None,
    gigabytes: float = 1.0,
) -> Footing:
    total = around(gigabytes * 2**30, 1.15)
    return Footing(
        precision=precision,
        memory=MemoryNeed(parts=(Part(name="weights", bytes=total.value),), total=total),
        standing=standing,
        predicted={} if seconds is None else {"latency_s": around(seconds)},
        within=within,
    )


def _candidate(
    alias: str = "one",
    points: float | None = 90.0,
    seconds: float | None = 0.1,
    **changes: Any,
) -> Candidate:
    at = footing(
        seconds,
        standing=changes.pop("standing", Standing.INSIDE),
        within=changes.pop("within", None),
    )
    refusal = changes.pop("refusal", "")
    return Candidate(
        entry=_entry(alias, **changes),
        quality=None if points is None else figure_of(points),
        at=at,
        footings=(at,),
        refusal=refusal,
    )


def _wants(
    task: ModelTask = ModelTask.TEXT_CLASSIFICATION, target: str = "rpi4", **asked: Any
) -> Wants:
    return read_wants(RecommendRequest(task=task, target=load_target(target), **asked))


@pytest.fixture
def entry() -> Callable[..., Entry]:
    return _entry


@pytest.fixture
def candidate() -> Callable[..., Candidate]:
    return _candidate


@pytest.fixture
def stand() -> Callable[..., Footing]:
    return footing


@pytest.fixture
def published() -> Callable[..., Quality]:
    return figure_of


@pytest.fixture
def band() -> Callable[..., Estimate]:
    return around


@pytest.fixture
def wants() -> Callable[..., Wants]:
    return _wants
