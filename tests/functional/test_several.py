"""One build for several targets: shared steps once, the same bundles as by itself, one table."""

import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.fakes import hurried_cell, hurried_matrix, models
from tests.functional.conftest import ROOT, Done, check_schema, invoke_here

VERDICT = {"accepted", "undecided", "provisional"}


@pytest.fixture
def folder(tmp_path: Path, mlp: Path, arrays: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two targets that are this machine, and a model whose budgets both can meet."""
    shutil.copy(mlp, tmp_path / "mlp.onnx")
    shutil.copy(arrays, tmp_path / "inputs.npz")
    for name in ("one", "two"):
        models.write_target(tmp_path / f"{name}.toml")
        text = (tmp_path / f"{name}.toml").read_text()
        first = next(line for line in text.splitlines() if line.startswith("name"))
        (tmp_path / f"{name}.toml").write_text(text.replace(first, f'name = "{name}"', 1))
    (tmp_path / "cells").mkdir()
    monkeypatch.setenv(hurried_cell.COUNTED, str(tmp_path / "cells"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    hurried_matrix.hurry(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(command: str, folder: Path, targets: str, *words: object) -> Done:
    return invoke_here(
        command, "--target", targets, "--model", "./mlp.onnx", "--data", "./inputs.npz",
        "--store", folder / "store", "--json", *words,
    )  # fmt: skip


def workers(folder: Path) -> int:
    return len(list((folder / "cells").iterdir()))


@pytest.mark.slow
def test_what_the_plan_shows_is_what_is_done(folder: Path) -> None:
    plan = call("plan", folder, "./one.toml,./two.toml")
    check_schema("step-graph-result", plan.json)
    assert plan.code == 0
    assert (plan.json["stored"], plan.json["unknown"]) == (0, 0)
    shared = [step for step in plan.json["steps"] if len(step["cells"]) == 2]
    assert shared == plan.json["steps"]
    assert plan.json["asked"] == 2 * len(shared)
    assert all(step["key"] for step in shared if step["after"] is None)
    places = {step["id"]: at for at, step in enumerate(plan.json["steps"])}
    for step in plan.json["steps"]:
        assert step["after"] is None or places[step["after"]] < places[step["id"]]

    built = call("build", folder, "./one.toml,./two.toml", "--junit", folder / "j.xml",
                 "--markdown", folder / "m.md", "--metrics", folder / "m.prom")  # fmt: skip
    check_schema("matrix-result", built.json)
    assert workers(folder) == 2
    # Two processes began at the same time, and each shared step ran once.
    assert built.json["steps_made"] == plan.json["to_make"]
    assert built.json["steps_reused"] > 0
    words = {cell["name"]["target"]: cell["word"] for cell in built.json["cells"]}
    assert set(words) == {"one", "two"}
    assert set(words.values()) <= VERDICT, built.err
    assert built.code == max(cell["exit_code"] for cell in built.json["cells"])
    cases = ET.fromstring((folder / "j.xml").read_text()).findall(".//testcase")  # noqa: S314 -- ours
    assert [case.get("name") for case in cases] == ["mlp-one", "mlp-two"]
    assert "mlp-two" in (folder / "m.md").read_text()
    assert 'target="two"' in (folder / "m.prom").read_text()

    after = call("plan", folder, "./one.toml,./two.toml")
    assert after.json["to_make"] == 0
    assert {step["state"] for step in after.json["steps"]} == {"stored"}

    alone = invoke_here(
        "build", "--target", "./one.toml", "--model", "./mlp.onnx", "--data", "./inputs.npz",
        "--store", folder / "other", "--json", "-o", folder / "alone" / "mlp-one",
    )  # fmt: skip
    first = next(cell for cell in built.json["cells"] if cell["name"]["target"] == "one")
    assert alone.json["bundle_digest"] == first["bundle_digest"]
    assert (folder / first["bundle"]).is_dir()

    # There is no log, but the store has all steps; what is measured here is measured again.
    again = call("build", folder, "./one.toml,./two.toml")
    assert (again.json["steps_made"], again.json["reused"]) == (0, 0)
    assert again.json["steps_reused"] == built.json["steps_made"] + built.json["steps_reused"]
    digests = [[cell["bundle_digest"] for cell in one.json["cells"]] for one in (built, again)]
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_a_target_that_it_cannot_fit_leaves_the_others(folder: Path) -> None:
    text = (folder / "two.toml").read_text()
    small = text.replace('"8 GiB"', '"1 MiB"').replace('"6 GiB"', '"64 KiB"')
    assert small != text
    (folder / "two.toml").write_text(small)
    plan = call("plan", folder, "./one.toml,./two.toml")
    assert plan.code == 1
    one, two = plan.json["cells"]
    assert (one["refused"], one["exit_code"]) == (None, 0)
    assert "cannot fit two" in two["refused"]
    built = call("build", folder, "./one.toml,./two.toml")
    assert [cell["word"] for cell in built.json["cells"]][1] == "rejected"
    assert built.json["cells"][0]["word"] in VERDICT
    assert built.code == 1


@pytest.mark.parametrize("command", ["build", "plan"])
@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ("rpi4,rpi4", "rpi4 is named twice"),
        ("./one.toml,one.toml", "one is named twice"),
        ("rpi4,,rpi5", "has an empty name between its commas"),
        ("rpi4,", "has an empty name between its commas"),
        ("rpi4,rpi55", "There is no target 'rpi55'. Did you mean 'rpi5'?"),
        ("./one.toml,./three.toml", "three.toml"),
    ],
)
def test_targets_that_are_wrong(folder: Path, command: str, targets: str, said: str) -> None:
    done = call(command, folder, targets)
    assert (done.code, done.json["error"]) == (2, "UsageError"), done.err
    assert said in done.json["message"]
    assert workers(folder) == 0
    assert not (folder / "store").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "bundle"], "The output bundle is the folder of one bundle"),
        (["--device", "ssh://a@b"], "--device ssh://a@b is one machine"),
        (["--baseline", "older"], "--baseline older is one target's bundle"),
        (["--model", "./none.onnx"], "There is no file or folder"),
        (["--data", "./none.csv"], "There is no data"),
        (["--questions", "./none.jsonl"], "none.jsonl"),
        (["--budget", "latency_p95=60 apples"], "apples"),
    ],
)
def test_what_only_one_target_can_have(folder: Path, words: list[str], said: str) -> None:
    done = call("build", folder, "./one.toml,./two.toml", *words)
    assert done.code == 2, done.err
    assert said in done.json["message"]
    assert workers(folder) == 0


def test_a_store_that_cannot_be_written_is_said_once(folder: Path) -> None:
    (folder / "store").write_text("a file")
    done = call("build", folder, "./one.toml,./two.toml")
    assert done.code == 5, done.err
    assert done.json["error"] == "StorageError"
    assert workers(folder) == 0


def test_targets_may_be_repeated_as_well(folder: Path) -> None:
    done = call("plan", folder, "./one.toml", "--target", "./two.toml")
    assert [cell["name"]["target"] for cell in done.json["cells"]] == ["one", "two"]


def test_nothing_is_fetched_for_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke_here(
        "plan", "-t", "rpi4,rpi5", "-m", "demo-sentiment", "--store", tmp_path / "s", "--json"
    )
    assert done.code == 0, done.err
    assert {step["state"] for step in done.json["steps"]} == {"unknown"}
    assert "nothing is fetched for a plan" in " ".join(done.err.split())
    assert all(cell["plan"]["build_s"] for cell in done.json["cells"])


def test_a_matrix_is_planned_without_a_trace(folder: Path) -> None:
    (folder / "m.toml").write_text(
        'output = "out"\n[[model]]\nname = "mlp"\nmodel = "./mlp.onnx"\ndata = "./inputs.npz"\n'
        '[[target]]\nname = "one"\ntarget = "./one.toml"\n'
        '[[target]]\nname = "two"\ntarget = "./two.toml"\n'
    )
    done = invoke_here("matrix", folder / "m.toml", "--plan", "--store", folder / "s", "--json")
    check_schema("step-graph-result", done.json)
    assert done.code == 0, done.err
    assert done.json["file"].endswith("m.toml")
    assert done.json["to_make"] == len(done.json["steps"]) > 0
    assert {len(step["cells"]) for step in done.json["steps"]} == {2}
    assert not (folder / "out").exists()
    assert workers(folder) == 0
    (folder / "m.toml").write_text("nonsense")
    bad = invoke_here("matrix", folder / "m.toml", "--plan", "--json")
    assert bad.code == 2
