"""Which verdict counts."""

from pathlib import Path

import pytest

from deployopt.core.codec import encode_pretty
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.exporting import ExportRequest
from deployopt.core.result import VerifyResult
from deployopt.core.verdict import Outcome, Verdict
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.verify import Verification
from deployopt.pipeline.exporting.served import Served, open_served
from deployopt.store.publishing import add_verification
from tests.fakes.served import check, machine, served_bundle, verdict_of

DOUBT = check("latency_p95", 0.06, 0.01, outcome=Outcome.UNDECIDED, predicted_inside=True)
PROVISIONAL = verdict_of(DOUBT, provisional=True)
ACCEPTED = verdict_of(check("latency_p95", 0.06, 0.02))
REJECTED = verdict_of(check("latency_p95", 0.06, 0.09, outcome=Outcome.REJECTED))


def served(bundle: Path) -> Served:
    return open_served(ExportRequest(source=str(bundle), form="triton", output=Path("/none/out")))


def verify(bundle: Path, name: str, verdict: Verdict, *, on_target: bool = True) -> None:
    opened = open_bundle(bundle)
    result = VerifyResult(
        bundle=str(bundle),
        bundle_digest=opened.manifest.bundle_digest,
        name=opened.manifest.name,
        target=opened.manifest.target,
        on_target=on_target,
        budgets=(),
        verdict=verdict,
        machine=machine(),
        exit_code=0,
    )
    add_verification(
        bundle, name, encode_pretty(Verification(result=result, latency=None, accuracy=None))
    )


def test_the_last_verification_on_the_target_counts(tmp_path: Path) -> None:
    bundle = served_bundle(tmp_path, verdict=PROVISIONAL)
    assert (served(bundle).word, len(served(bundle).warnings)) == ("provisional", 1)
    verify(bundle, "001.json", ACCEPTED)
    verify(bundle, "002.json", REJECTED, on_target=False)
    found = served(bundle)
    assert (found.word, found.warnings) == ("accepted", ())
    assert found.evidence() == ["latency_p95 ≤ 60.0 ms: 20.0 ms, bound 20.0 ms, measured:target"]
    assert "a test's CPU" in found.measured_on()
    verify(bundle, "003.json", REJECTED)
    with pytest.raises(UsageError, match="is rejected"):
        served(bundle)


def test_of_another_build_it_says_nothing(tmp_path: Path) -> None:
    bundle = served_bundle(tmp_path, verdict=PROVISIONAL)
    other = served_bundle(tmp_path, verdict=REJECTED, name="other")
    verify(other, "001.json", ACCEPTED)
    moved = (other / "verifications/001.json").read_bytes()
    add_verification(bundle, "001.json", moved)
    assert served(bundle).word == "provisional"


def test_a_bundle_without_a_verdict(tmp_path: Path) -> None:
    bundle = served_bundle(tmp_path)
    (bundle / "verdict.json").unlink()
    with pytest.raises(IntegrityError, match=r"verdict\.json"):
        served(bundle)
