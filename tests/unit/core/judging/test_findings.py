"""What is known of an artifact: rounds count as the target's only where they ran on it."""

from deployopt.core.judging.findings import Findings
from tests.fakes.language import answered_trial


def test_only_rounds_on_the_target_are_of_it() -> None:
    here, there = answered_trial(0.1, 0.02, proxy=True), answered_trial(0.1, 0.02)
    assert Findings(artifact="a" * 64, latency=there).on_target is there
    assert Findings(artifact="a" * 64, latency=here).on_target is None
    assert Findings(artifact="a" * 64).on_target is None
