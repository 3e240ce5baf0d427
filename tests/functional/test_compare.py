"""A bundle against an earlier one, by the command and in a build; the clock is made up but once."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import deployopt
from deployopt.core.evidence import Evidence
from deployopt.device import compare as comparing
from deployopt.pipeline import preparing
from deployopt.remote.ssh import DEVICE_PYTHON, SSH_CONFIG
from deployopt.store.verifying import verify_bundle
from tests.fakes.markup import read_xml
from tests.fakes.paced import PacedDevice
from tests.fakes.slowed import slowed
from tests.fakes.sshd import MISSING, running_sshd, there_is_sshd
from tests.functional.conftest import Done, Invoke, check_schema

Pace = Callable[..., None]


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> Pace:
    """Let the artifacts of these bundles take so many times as long as others."""

    def set_paces(paces: dict[str, float] | None = None, noise: float = 0.02) -> None:
        for module in (comparing, preparing):
            monkeypatch.setattr(module, "ThisMachine", lambda: PacedDevice(paces, noise=noise))

    # `isinstance` is asked of the device that a build was given.
    monkeypatch.setattr(preparing, "isinstance", lambda *_: True, raising=False)
    return set_paces


@pytest.fixture(scope="session")
def slow_bundle(mlp_bundle: Path, shelf: Path) -> Path:
    """Another artifact that gives the same answers."""
    return slowed(mlp_bundle, shelf / "slowed", shelf, products=8)


def test_a_bundle_beside_itself_is_accepted_and_not_faster(
    invoke: Invoke, pace: Pace, mlp_bundle: Path, tmp_path: Path
) -> None:
    pace()
    done = invoke("compare", mlp_bundle, mlp_bundle, "--json", "--junit", tmp_path / "j.xml")
    assert done.code == 0, done.err
    check_schema("compare-result", done.json)
    assert done.json["comparison"]["outcome"] == "accepted"
    assert "ACCEPTED" in done.err
    assert "faster" not in done.err
    suite = read_xml((tmp_path / "j.xml").read_bytes())[0]
    assert suite.get("failures") == "0"


def test_a_slower_one_is_rejected_and_by_how_much(
    invoke: Invoke, pace: Pace, mlp_bundle: Path, slow_bundle: Path, tmp_path: Path
) -> None:
    pace({verify_bundle(slow_bundle).artifact: 1.3})
    done = invoke(
        "compare", mlp_bundle, slow_bundle, "--json", "--junit", tmp_path / "j.xml",
        "--markdown", tmp_path / "s.md", "--fail-on", "regression",
    )  # fmt: skip
    assert done.code == 1
    latency = done.json["comparison"]["differences"][0]
    assert latency["outcome"] == "regressed"
    assert latency["change"] == pytest.approx(0.3, abs=0.05)
    assert "slower, at least" in done.paragraph
    assert "rejected" in (tmp_path / "s.md").read_text("utf-8")
    failed = read_xml((tmp_path / "j.xml").read_bytes()).iter("failure")
    assert "rejected" in {failure.get("type") for failure in failed}


def test_undecided_is_three_or_nought(
    invoke: Invoke, pace: Pace, mlp_bundle: Path, slow_bundle: Path
) -> None:
    # The tiny graph has grown by a multiple, which its own margin has to allow.
    pace({verify_bundle(slow_bundle).artifact: 1.9}, noise=0.05)
    words = ("compare", mlp_bundle, slow_bundle, "--margin", "90%")
    strict = invoke(*words)
    assert (strict.code, "UNDECIDED" in strict.err) == (3, True), strict.err
    lenient = invoke(*words, "--fail-on", "regression")
    assert lenient.code == 0
    assert "Undecided passes here" in lenient.err


@pytest.mark.slow
def test_a_slower_one_is_found_by_the_real_clock(
    invoke: Invoke, mlp_bundle: Path, slow_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "ROUND_S", dict.fromkeys(Evidence, 0.05))
    done = invoke("compare", mlp_bundle, slow_bundle, "--json")
    latency = done.json["comparison"]["differences"][0]
    # A shared machine may be too noisy to tell; it may not tell anything else.
    assert (done.code, latency["outcome"]) == (1, "regressed") or "void" in latency["reason"]
    assert done.json["comparison"]["differences"][1]["change"] == 0


@pytest.mark.slow
@pytest.mark.skipif(not there_is_sshd(), reason=MISSING)
def test_both_are_measured_on_a_device_elsewhere(
    invoke: Invoke,
    mlp_bundle: Path,
    slow_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(comparing, "ROUND_S", dict.fromkeys(Evidence, 0.05))
    monkeypatch.setenv(DEVICE_PYTHON, sys.executable)
    with running_sshd(tmp_path, {"XDG_CACHE_HOME": str(tmp_path / "cache")}) as server:
        monkeypatch.setenv(SSH_CONFIG, str(server.config))
        done = invoke(
            "compare", mlp_bundle, slow_bundle, "--device", server.url, "--time-limit", "3s",
            "--json",
        )  # fmt: skip
    assert done.code in {1, 3}, done.err
    found = done.json["comparison"]
    assert found["where"] == server.url
    assert found["differences"][1]["change"] == 0
    assert len(found["rounds"]) >= 1


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["nowhere", "nowhere"], 2, "nothing at nowhere"),
        (["{mlp}", "{empty}"], 4, "manifest.json cannot be read"),
        (["{mlp}", "{mlp}", "--margin", "5"], 2, "margin"),
        (["{mlp}", "{mlp}", "--margin", "-5%"], 2, "margin"),
        (["{mlp}", "{mlp}", "--accuracy-margin", "much"], 2, "margin"),
        (["{mlp}", "{mlp}", "--fail-on", "never"], 2, "fail-on"),
        (["{mlp}", "{mlp}", "--time-limit", "0s"], 2, "time-limit"),
        (["{mlp}"], 2, "Missing argument"),
    ],
)
def test_bad_input(
    invoke: Invoke, mlp_bundle: Path, tmp_path: Path, words: list[str], code: int, part: str
) -> None:
    (tmp_path / "empty").mkdir()
    named = {"mlp": mlp_bundle, "empty": tmp_path / "empty"}
    done = invoke("compare", *(word.format(**named) for word in words))
    assert done.code == code, done.err
    assert part in done.paragraph
    assert "Traceback" not in done.err


def test_python_has_the_same(pace: Pace, mlp_bundle: Path) -> None:
    pace()
    found = deployopt.compare(mlp_bundle, mlp_bundle, margin=0.1, accuracy_margin="2 pt")
    assert found.exit_code == 0
    assert found.comparison.margins.accuracy == pytest.approx(0.02)


@pytest.fixture
def rebuild(
    invoke: Invoke, shelf: Path, tmp_path: Path, mlp: Path, arrays: Path, here: Path
) -> Callable[..., Done]:
    """The build of `mlp_bundle` once more, against a baseline, into `tmp_path/new*`."""

    def run(baseline: Path, *words: object) -> Done:
        return invoke(
            "build", "-t", here, "-m", mlp, "-d", arrays, "-o", tmp_path / "new", "--store",
            shelf / "store", "--baseline", baseline, "--json", *words,
        )  # fmt: skip

    return run


def test_a_build_no_worse_than_its_baseline_is_published(
    rebuild: Callable[..., Done], pace: Pace, slow_bundle: Path, tmp_path: Path
) -> None:
    pace({verify_bundle(slow_bundle).artifact: 1.3})
    done = rebuild(slow_bundle, "--markdown", tmp_path / "s.md")
    assert done.code == 0, done.err
    check_schema("build-result", done.json)
    assert done.json["baseline"]["outcome"] == "accepted"
    assert done.json["baseline"]["differences"][0]["outcome"] == "better"
    assert "faster" in done.err
    assert "Against the baseline" in (tmp_path / "s.md").read_text("utf-8")
    kept = (tmp_path / "new" / "report.html").read_text("utf-8")
    assert "Against the baseline" in kept


def test_a_build_that_regressed_is_rejected_and_not_published(
    rebuild: Callable[..., Done], pace: Pace, mlp_bundle: Path, slow_bundle: Path, tmp_path: Path
) -> None:
    pace({verify_bundle(mlp_bundle).artifact: 1.3})
    done = rebuild(slow_bundle, "--junit", tmp_path / "j.xml")
    assert done.code == 1, done.err
    assert done.json["verdict"]["outcome"] == "rejected"
    assert "regressed: latency p50" in " ".join(done.json["verdict"]["reasons"])
    assert "slower, at least" in done.paragraph
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["j.xml", "new.rejected.html"]
    assert "<failure" in (tmp_path / "j.xml").read_text("utf-8")


def test_a_baseline_may_stand_where_the_new_one_goes(
    rebuild: Callable[..., Done], pace: Pace, mlp_bundle: Path, tmp_path: Path
) -> None:
    """The last accepted one is replaced by what is no worse, and stays where something is."""
    place = Path(shutil.copytree(mlp_bundle, tmp_path / "new"))
    before = verify_bundle(place).files
    pace()
    done = rebuild(place)
    assert done.code == 0, done.err
    assert verify_bundle(place).files != before
    assert done.json["bundle"] == str(place)


@pytest.mark.parametrize(("name", "code"), [("nowhere", 2), ("folder", 4)])
def test_a_baseline_that_is_none_ends_the_build_before_it_begins(
    rebuild: Callable[..., Done], tmp_path: Path, name: str, code: int
) -> None:
    (tmp_path / "folder").mkdir()
    assert rebuild(tmp_path / name).code == code
    assert not (tmp_path / "new").exists()
