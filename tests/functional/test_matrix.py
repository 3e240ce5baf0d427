"""Several builds in one call: verdicts, shared steps, going on, and being stopped."""

import shutil
import signal
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deployopt.pipeline.matrix.planning import Places, plan_cells
from deployopt.pipeline.matrix.run import read_matrix
from deployopt.store.verifying import verify_bundle
from tests.fakes import hurried_cell, hurried_matrix, models, results
from tests.fakes.hurried_matrix import TEXT
from tests.functional.conftest import (
    ROOT,
    Done,
    check_schema,
    child_environment,
    invoke_here,
    outside,
)

VERDICT = {"accepted", "undecided"}
"""A shared machine may be too noisy to tell a latency."""


@pytest.fixture
def folder(tmp_path: Path, mlp: Path, arrays: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cells that need the same steps; where their workers count themselves."""
    shutil.copy(mlp, tmp_path / "mlp.onnx")
    shutil.copy(arrays, tmp_path / "inputs.npz")
    models.write_target(tmp_path / "here.toml")
    (tmp_path / "m.toml").write_text(TEXT)
    (tmp_path / "cells").mkdir()
    monkeypatch.setenv(hurried_cell.COUNTED, str(tmp_path / "cells"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    hurried_matrix.hurry(monkeypatch)
    return tmp_path


def matrix(folder: Path, *words: object) -> Done:
    return invoke_here("matrix", folder / "m.toml", "--store", folder / "store", "--json", *words)


def workers(folder: Path) -> int:
    return len(list((folder / "cells").iterdir()))


@pytest.mark.slow
def test_cells_are_built_once_and_never_again(folder: Path) -> None:
    done = matrix(folder, "--junit", folder / "j.xml", "--metrics", folder / "m.prom")
    check_schema("matrix-result", done.json)
    small, usual = done.json["cells"]
    assert (small["word"], small["exit_code"]) == ("rejected", 1)
    assert usual["word"] in VERDICT
    assert done.code == done.json["exit_code"] == 1
    # Both needed the same steps at the same time: one of them made each.
    assert small["steps_made"] + usual["steps_made"] == len(_steps(folder))
    assert small["steps_reused"] + usual["steps_reused"] > 0
    assert workers(folder) == 2
    manifest = verify_bundle(folder / "out" / usual["bundle"])
    assert manifest.bundle_digest == usual["bundle_digest"]
    page = (folder / "out" / "index.html").read_text()
    assert f"{usual['bundle']}/report.html" in page
    assert (folder / "out" / small["page"]).is_file()
    cases = ET.fromstring((folder / "j.xml").read_text()).findall(".//testcase")  # noqa: S314 -- ours
    assert [case.get("name") for case in cases] == ["mlp-here-small", "mlp-here-usual"]
    assert cases[0].find("failure") is not None
    assert (
        'deployopt_cell_exit_code{model="mlp",target="here",variant="small"} 1'
        in (folder / "m.prom").read_text()
    )
    again = matrix(folder)
    assert again.json["reused"] == 2
    assert "nothing was rebuilt, nothing was measured" in again.err
    assert workers(folder) == 2
    assert again.code == 1
    shutil.rmtree(folder / "out" / usual["bundle"])
    third = matrix(folder)
    assert [cell["reused"] for cell in third.json["cells"]] == [True, False]
    assert third.json["cells"][1]["steps_made"] == 0
    assert third.json["cells"][1]["bundle_digest"] == usual["bundle_digest"]
    assert workers(folder) == 3


def _steps(folder: Path) -> set[str]:
    """The results of steps in the store, by key."""
    found = set()
    for path in (folder / "store" / "keys").iterdir():
        if b'"precision"' in path.read_bytes():
            found.add(path.name)
    return found


@pytest.mark.slow
def test_inline_comes_to_the_same_bundle(folder: Path) -> None:
    apart = matrix(folder)
    inline = matrix(
        folder, "--executor", "inline", "-o", folder / "other", "--store", folder / "new"
    )
    digests = [
        [(cell["word"], cell["bundle_digest"]) for cell in done.json["cells"]]
        for done in (apart, inline)
    ]
    assert [digest for _, digest in digests[0]] == [digest for _, digest in digests[1]]
    assert inline.json["jobs"] == 1
    assert workers(folder) == 2


@pytest.mark.slow
def test_a_cell_that_fails_leaves_the_others(folder: Path) -> None:
    more = '[[model]]\nname = "broken"\nmodel = "./broken.onnx"\n'
    (folder / "broken.onnx").write_bytes(b"no graph")
    (folder / "m.toml").write_text(TEXT.replace("[[target]]", more + "[[target]]"))
    done = matrix(folder)
    words = {f"{c['name']['model']}-{c['name']['variant']}": c for c in done.json["cells"]}
    assert words["mlp-usual"]["word"] in VERDICT
    assert words["broken-usual"]["word"] == "failed"
    assert words["broken-usual"]["error_kind"] == "RefusedInputError"
    assert "broken.onnx" in words["broken-usual"]["error"]
    assert done.code == 4
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("words", "text", "said"),
    [
        (["--executor", "spark"], TEXT, "There is no executor 'spark'. There are: processes, inl"),
        (["--ray-address", "auto"], TEXT, "--ray-address goes with --executor ray"),
        (["--jobs", "0"], TEXT, "--jobs 0: at least one cell at a time"),
        ([], TEXT.replace("./mlp.onnx", "./none.onnx"), "model mlp: There is no file"),
        ([], TEXT.replace("here.toml", "there.toml"), "target here: The target file"),
        ([], TEXT.replace('"out"', '"."'), "holds files that are no matrix's"),
        ([], "time_limit = '9 parsecs'\n" + TEXT, "time_limit '9 parsecs'"),
        ([], "nonsense", "not valid TOML"),
        ([], "", "there is no [[model]]"),
    ],
)
def test_bad_input_is_a_paragraph(folder: Path, words: list[str], text: str, said: str) -> None:
    (folder / "m.toml").write_text(text)
    before = sorted(path.name for path in folder.iterdir())
    done = matrix(folder, *words)
    assert (done.code, done.json["error"]) == (2, "UsageError"), done.err
    assert said in done.json["message"]
    assert "Traceback" not in done.err
    assert sorted(path.name for path in folder.iterdir()) == before
    assert workers(folder) == 0


@pytest.fixture
def driver(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a process of its own, whose cells have begun."""
    process = _started(folder)
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def _started(folder: Path) -> subprocess.Popen[bytes]:
    words = ["matrix", "m.toml", "--store", "store", "--quiet"]
    return subprocess.Popen(
        [*hurried_matrix.COMMAND, *words], cwd=folder, env=child_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_driver_that_is_stopped_leaves_nobody_behind(
    folder: Path, driver: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    _until(lambda: workers(folder) == 2)
    time.sleep(1.0)
    pids = [int(path.name) for path in (folder / "cells").iterdir()]
    driver.send_signal(number)
    code = driver.wait(30)
    expected = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
    assert code == expected[number]
    _until(lambda: not any(_lives(pid) for pid in pids))
    # A child that had only just begun ends as soon as it looks for its parent.
    _until(lambda: not any(_of(one, pids) for one in psutil.process_iter(["cmdline"])))
    done = outside(
        [*hurried_matrix.COMMAND, "matrix", "m.toml", "--store", "store", "--json", "--quiet"],
        folder,
    )
    assert done.code in {0, 1, 3}, done.err
    words = [cell["word"] for cell in done.json["cells"]]
    assert words[0] == "rejected"
    assert words[1] in VERDICT
    assert not list((folder / "store" / "staging").iterdir()) or _gc(folder)


def _gc(folder: Path) -> bool:
    invoke_here("gc", "--store", folder / "store")
    return not list((folder / "store" / "staging").iterdir())


def _of(process: psutil.Process, pids: list[int]) -> bool:
    """Whether it is the measuring child of one of them."""
    words = process.info["cmdline"] or []
    return "deployopt.device.child" in words and words[-1] in {str(pid) for pid in pids}


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _until(holds: object) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if callable(holds) and holds():
            return
        time.sleep(0.02)
    raise AssertionError("it never came to that")


def test_the_example_is_a_matrix() -> None:
    file = read_matrix(ROOT / "examples" / "matrix.toml")
    places = Places(where="m", folder=ROOT / "examples", output=ROOT / "x", store=ROOT / "y")
    cells = plan_cells(file, places, results.MACHINE)
    assert [cell.name.id for cell in cells] == ["demo-sentiment-rpi4", "demo-sentiment-rpi5"]
