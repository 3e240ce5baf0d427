"""The same build twice does the work once; one that was killed goes on where it stopped."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployopt.pipeline import answering
from tests.fakes import hurried
from tests.functional.conftest import Done, Invoke, child_environment, outside


def step_list(done: Done) -> list[tuple[str, bool]]:
    return [
        (step["name"], step["reused"]) for one in done.json["candidates"] for step in one["steps"]
    ]


def test_a_second_build_runs_no_step_and_asks_no_model(
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    mlp_build: Done,
    shelf: Path,
    mlp: Path,
    arrays: Path,
    here: Path,
) -> None:
    """Only the latency is measured anew: it is what this machine shows today."""

    def unexpected(*words: object, **named: object) -> None:
        pytest.fail(f"a model was asked again: {words} {named}")

    monkeypatch.setattr(answering, "evaluate", unexpected)
    again = invoke(
        "build", "-t", here, "-m", mlp, "-d", arrays, "-o", shelf / "mlp", "--store",
        shelf / "store", "--json",
    )  # fmt: skip
    assert again.code in {0, 3}
    assert [reused for _, reused in step_list(again)] == [True] * len(step_list(mlp_build))
    assert step_list(mlp_build)[0] == ("optimize", False)
    assert again.json["bundle_digest"] == mlp_build.json["bundle_digest"]
    assert again.json["gate"]["trial"] == mlp_build.json["gate"]["trial"]


@pytest.mark.slow
def test_a_damaged_object_is_made_again_and_gives_the_same(
    invoke: Invoke, mlp_build: Done, tmp_path: Path, mlp: Path, arrays: Path, here: Path
) -> None:
    words = (
        "build", "-t", here, "-m", mlp, "-d", arrays, "-o", tmp_path / "b", "--store",
        tmp_path / "store", "--json",
    )  # fmt: skip
    first = invoke(*words)
    artifact = first.json["verdict"]["artifact"]
    path = tmp_path / "store" / "objects" / artifact / "content" / "model.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    again = invoke(*words)
    assert step_list(again)[0] == ("optimize", False)
    assert again.json["bundle_digest"] == first.json["bundle_digest"]
    assert first.json["bundle_digest"] == mlp_build.json["bundle_digest"]
    gone = invoke("gc", "--store", tmp_path / "store", "--json")
    assert gone.json["quarantined"] >= 1


def test_gc_keeps_what_a_build_needs_and_all_drops_it(
    invoke: Invoke, tmp_path: Path, mlp: Path, arrays: Path, here: Path
) -> None:
    store = tmp_path / "store"
    words = ("plan", "-t", here, "-m", mlp, "-d", arrays, "--store", store)
    assert invoke(*words).code == 0
    held = sorted(store.glob("objects/*"))
    assert held
    kept = invoke("gc", "--store", store, "--json")
    assert (kept.code, kept.json["objects"], kept.json["freed_bytes"]) == (0, 0, 0)
    would = invoke("gc", "--store", store, "--all", "--dry-run", "--json")
    assert would.json["dry_run"] is True
    assert would.json["objects"] == len(held)
    assert sorted(store.glob("objects/*")) == held
    assert invoke("gc", "--store", store, "--all").code == 0
    assert not list(store.glob("objects/*"))
    assert invoke(*words).code == 0


Started = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    running: list[subprocess.Popen[str]] = []

    def start(*words: object) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*hurried.COMMAND, *map(str, words)],
            cwd=tmp_path, env=child_environment(), text=True, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def wait_for(there: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 120
    while not there():
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < end, "it never came to the point to be stopped at"
        time.sleep(0.005)


def seen(store: Path, pattern: str) -> bool:
    try:
        return bool(list(store.glob(pattern)))
    except FileNotFoundError:  # it went while it was looked at
        return False


@pytest.mark.slow
def test_a_killed_build_goes_on(
    invoke: Invoke,
    mlp_build: Done,
    started: Started,
    tmp_path: Path,
    mlp: Path,
    arrays: Path,
    here: Path,
) -> None:
    store = tmp_path / "store"
    words = ("build", "-t", here, "-m", mlp, "-d", arrays, "-o", "b", "--store", store, "--quiet")
    process = started(*words)
    # While it times: everything before is in the store, and the feeds stand in a staging folder.
    wait_for(lambda: seen(store, "staging/**/feeds.npz"), process)
    process.kill()
    process.communicate()
    assert list(store.glob("staging/*"))
    assert not list(tmp_path.glob("b*"))
    gone = invoke("gc", "--store", store, "--json")
    assert gone.json["staging"] >= 1
    assert not list(store.glob("staging/*"))
    done = outside([*hurried.COMMAND, *words, "--json"], tmp_path)
    assert done.code in {0, 3}, done.err
    assert all(reused for _, reused in step_list(done))
    assert done.json["bundle_digest"] == mlp_build.json["bundle_digest"]


@pytest.mark.slow
@pytest.mark.torch
def test_a_build_killed_in_a_step_repeats_only_that(
    text_build: Done,
    started: Started,
    tmp_path: Path,
    text_model: Path,
    texts: Path,
) -> None:
    store = tmp_path / "store"
    words = (
        "build", "-t", "rpi4", "-m", text_model, "-d", texts, "-o", "b", "--store", store,
        "-b", "accuracy_drop=5pt", "--quiet",
    )  # fmt: skip
    process = started(*words)
    # The export is the first step that is locked; it takes seconds, the import of torch included.
    wait_for(lambda: seen(store, "locks/*") and seen(store, "staging/*"), process)
    process.kill()
    process.communicate()
    done = outside([*hurried.COMMAND, *words, "--json"], tmp_path)
    assert done.code == 3, done.err
    assert step_list(done)[0] == ("export", False)
    assert done.json["bundle_digest"] == text_build.json["bundle_digest"]
