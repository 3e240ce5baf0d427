"""OpenMetrics: gauges by name, and labels that GitLab's reader takes as they are."""

import re
import shlex

import pytest

from deployopt.core.metric import METRICS
from deployopt.reports.ci_record import UNIT_NAMES
from deployopt.reports.ci_summary import build_summary
from deployopt.reports.openmetrics import openmetrics
from tests.fakes import results
from tests.fakes.language import language_build
from tests.fakes.payloads import payloads

SAMPLE = re.compile(r'([a-z][a-z0-9_]*)\{model="[^"\\#]*",target="[^"\\#]*"\} [0-9.e+-]+')


def test_a_gauge_a_figure() -> None:
    lines = openmetrics(build_summary(results.build_result("accepted"))).decode().splitlines()
    assert lines[-1] == "# EOF"
    samples = [line for line in lines if not line.startswith("#")]
    assert all(SAMPLE.fullmatch(line) for line in samples)
    values = {line.partition("{")[0]: line.split()[-1] for line in samples}
    assert values["deployopt_accepted"] == "1"
    assert values["deployopt_latency_p95_seconds"] == "0.0161"
    assert values["deployopt_latency_p95_limit_seconds"] == "0.06"
    assert values["deployopt_memory_peak_bytes"] == str(156 * 2**20)
    assert values["deployopt_accuracy_drop_upper_ratio"] == "0.0046"
    assert list(values) == sorted(values)
    assert "# UNIT deployopt_latency_p95_seconds seconds" in lines


def test_what_was_not_accepted_is_0() -> None:
    text = openmetrics(build_summary(results.cannot_fit())).decode()
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        'deployopt_accepted{model="bert-large",target="x86-cpu"} 0'
    ]


@pytest.mark.parametrize("payload", payloads()[::10])
def test_hostile_names_stay_labels(payload: str) -> None:
    text = openmetrics(build_summary(results.hostile(payload))).decode("ascii")
    for line in text.splitlines():
        if not line.startswith("#"):
            assert SAMPLE.fullmatch(line)
            # So GitLab reads it: without what follows a "#", split as a shell does.
            assert len(shlex.split(re.sub("#.*", "", line))) == 2


def test_every_metric_has_a_unit_that_openmetrics_knows() -> None:
    assert {metric.dimension for metric in METRICS.values()} <= set(UNIT_NAMES)


def test_a_language_models_gauges() -> None:
    text = openmetrics(build_summary(language_build())).decode()
    assert 'deployopt_decode_tps_min_per_second{model="demo-chat",target="x86-cpu"} 52.6' in text
    assert 'deployopt_nll_increase_upper_ratio{model="demo-chat",target="x86-cpu"} 0.006' in text
    assert 'deployopt_agreement_lower_ratio{model="demo-chat",target="x86-cpu"} 0.95' in text
