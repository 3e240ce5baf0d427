"""One build with every kind of candidate that misbehaves: each fails alone, and says how.

Real children, each with a graph that does what its name says. The honest candidates come out as in
a build without the others, to the byte.
"""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from deployopt.core.relative import Look
from deployopt.device.accuracy import Evaluation, evaluate
from deployopt.device.setup import Limits, Setup
from deployopt.pipeline import answering, preparing, trying
from deployopt.pipeline.preparing import Prepared
from deployopt.pipeline.recipes import Form, forms_for
from tests.fakes import misbehaving
from tests.functional.conftest import ROOT, Done, Invoke

pytestmark = pytest.mark.slow
LIMITS = Limits(wall_s=120, quiet_s=30, memory_bytes=500 * 2**20, output_bytes=2**20)
QUIET_S = 6
"""For those that hang when they are first asked; honest ones may need more on a busy machine."""
HANGING = re.compile(rb"misbehaves:(hang|spin|stop);")
ROUNDS = 3
FAILURES = {
    "memory": r"took \d+ MiB of memory, more than the 500 MiB",
    "hang": "no sign of life for 6 s",
    "spin": "no sign of life for 6 s",
    "stop": "no sign of life for 6 s",
    "segfault": "killed by SIGSEGV",
    "abort": "killed by SIGABRT",
    "fork-and-crash": "killed by SIGSEGV",
    "leave": r"ended \(exit code 0\) without an answer",
    "raise": r"onnxruntime failed on this input: .*red.* and.*in two lines",
    "flood-stdout": "printed more than 1 MiB",
    "flood-stderr": "printed more than 1 MiB",
    "babble": "spoke nonsense",
    "nan": r"\d+ outputs are not finite",
    "inf-once": "1 outputs are not finite|not those of the accuracy run",
    "unreadable": "is not a model|not an ONNX",
    "crash-when-timed": "killed by SIGSEGV",
    "hang-when-timed": "no sign of life for 30 s",
    "memoise": "remembers answers",
    "skip": "not those of the accuracy run",
    "detect": "not those of the accuracy run",
    "detect-and-memoise": "remembers answers",
}
WRONG = ("zeros", "truncate")
"""Wrong in the same way whenever they are asked: no failure, but a loss that rules them out."""
HONEST = ("float", "int8")
KEPT = ("artifact", "precision", "steps", "accuracy", "size")


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small limits, so that what hangs or eats is stopped in seconds."""

    def limits(_: Prepared) -> Limits:
        return LIMITS

    def evaluated(setup: Setup, *given: Any, limits: Limits, **named: Any) -> Evaluation:
        if HANGING.search(setup.model.read_bytes()):
            limits = msgspec.structs.replace(limits, quiet_s=QUIET_S)
        return evaluate(setup, *given, limits=limits, **named)

    monkeypatch.setattr(answering, "evaluate", evaluated)
    monkeypatch.setattr(answering, "limits_for", limits)
    monkeypatch.setattr(trying, "LOOKS", (Look(ROUNDS, 0.0),))
    monkeypatch.setattr(trying, "limits_for", limits)


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bounded: None) -> Iterator[None]:  # noqa: ARG001
    """Every misbehaving form beside the usual ones."""

    def forms(*given: object, **named: object) -> tuple[Form, ...]:
        usual: tuple[Form, ...] = forms_for(*given, **named)  # type: ignore[arg-type]
        others = [*FAILURES, *WRONG, "fork"]
        return usual + tuple(
            Form(name=how, steps=(misbehaving.Misbehave(how=how),), reason="to be caught")
            for how in others
        )

    monkeypatch.setattr(preparing, "forms_for", forms)
    monkeypatch.setenv("PYTHONPATH", misbehaving.lead(tmp_path / "led", ROOT))
    yield
    assert started_with(tmp_path / "led") == []


def started_with(folder: Path) -> list[list[str]]:
    """Command lines of what runs with this PYTHONPATH, seconds later."""
    end = time.monotonic() + 5
    while True:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("PYTHONPATH", "").startswith(str(folder)):
                    found.append(process.cmdline())
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.1)


def of_candidate(done: Done, name: str) -> dict[str, object]:
    found = next(one for one in done.json["candidates"] if one["recipe"] == name)
    kept = {key: found[key] for key in KEPT}
    kept["steps"] = [step["name"] for step in found["steps"]]
    return kept


@pytest.mark.usefixtures("joined")
def test_each_fails_alone(
    invoke: Invoke, mlp_build: Done, tmp_path: Path, mlp: Path, arrays: Path, here: Path
) -> None:
    done = invoke(
        "build", "-t", here, "-m", mlp, "-d", arrays, "-o", tmp_path / "b", "--store",
        tmp_path / "store", "--json",
    )  # fmt: skip
    assert done.code in {0, 3}, done.err
    assert "Traceback" not in done.err
    assert "\x1b[31m" not in done.out + done.err
    candidates = {one["recipe"]: one for one in done.json["candidates"]}
    said = {name: (one["failure"], one["why"]) for name, one in candidates.items()}
    wrong = [
        (name, said[name]) for name, says in FAILURES.items()
        if not re.search(says, said[name][0] or "", re.DOTALL)
        or not said[name][1].startswith("failed: ")
    ]  # fmt: skip
    wrong += [
        (name, said[name]) for name in WRONG
        if said[name][0] is not None or not said[name][1].startswith("misses accuracy_drop")
    ]  # fmt: skip
    assert not wrong, "\n".join(map(str, wrong))
    assert candidates["fork"]["failure"] is None  # it answers; what it started is gone
    assert [name for name, one in candidates.items() if one["chosen"]] == ["float"]
    for name in HONEST:
        assert candidates[name]["failure"] is None
        assert of_candidate(done, name) == of_candidate(mlp_build, name)
    assert done.json["bundle_digest"] == mlp_build.json["bundle_digest"]


@pytest.mark.usefixtures("joined")
def test_all_of_them_at_once_are_no_verdict(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mlp: Path, arrays: Path,
    here: Path,
) -> None:  # fmt: skip
    """Where nothing is left to judge, the build says what failed, and how."""

    def forms(*given: object, **named: object) -> tuple[Form, ...]:
        usual = forms_for(*given, **named)  # type: ignore[arg-type]
        step = misbehaving.Misbehave(how="segfault")
        return tuple(msgspec.structs.replace(form, steps=(*form.steps, step)) for form in usual)

    monkeypatch.setattr(preparing, "forms_for", forms)
    done = invoke(
        "build", "-t", here, "-m", mlp, "-d", arrays, "-o", tmp_path / "b", "--store",
        tmp_path / "store",
    )  # fmt: skip
    assert done.code == 5
    assert "error: Every candidate failed: The model's process was killed by SIG" in done.paragraph
    assert not list(tmp_path.glob("b*"))
