"""A bundle is verified and answers here; `test_small_install` does it in another environment."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import deployopt
from deployopt.core.errors import UsageError
from deployopt.store.experiences import read_experiences
from deployopt.store.verifying import verify_bundle
from tests.functional.conftest import Done, Invoke, check_schema


@pytest.fixture(scope="module")
def verified(invoke: Invoke, mlp_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A copy of the bundle, verified twice; the second one's answer."""
    device = tmp_path_factory.mktemp("device")
    bundle = shutil.copytree(mlp_bundle, device / "bundle")
    shutil.rmtree(bundle / "verifications", ignore_errors=True)  # other tests share the bundle
    assert invoke("verify", bundle, "--store", device / "store").code in {0, 3}
    return invoke("verify", bundle, "--store", device / "store", "--json")


@pytest.mark.slow
def test_a_device_judges_what_was_built(verified: Done, mlp_build: Done) -> None:
    found = verified.json
    check_schema("verify-result", found)
    assert (found["verdict"]["outcome"], verified.code) in {("accepted", 0), ("undecided", 3)}
    assert found["exit_code"] == verified.code
    assert found["on_target"] is True
    assert found["bundle_digest"] == mlp_build.json["bundle_digest"]
    checks = {check["metric"]: check for check in found["verdict"]["checks"]}
    assert checks["latency_p95"]["evidence"] == "measured:target"
    assert checks["accuracy_drop"]["observed"] == 0
    assert found["accuracy"]["trial"]["split"] == "gate"


@pytest.mark.slow
def test_it_writes_beside_and_leaves_what_was_built(verified: Done, mlp_build: Done) -> None:
    bundle = Path(verified.json["bundle"])
    manifest = verify_bundle(bundle)
    assert manifest.bundle_digest == mlp_build.json["bundle_digest"]
    written = sorted(path.name for path in (bundle / "verifications").iterdir())
    assert written == ["001.json", "002.json"]
    assert verified.json["written"] == str(bundle / "verifications" / "002.json")
    experiences = read_experiences(bundle.parent / "store")
    assert "memory_peak" in {experience.metric for experience in experiences}
    assert {experience.target for experience in experiences} == {"here"}
    kept = json.loads((bundle / "verifications" / "002.json").read_bytes())
    assert kept["result"]["verdict"] == verified.json["verdict"]
    assert kept["latency"]["rounds"]


@pytest.mark.slow
def test_throughput_against_batch(invoke: Invoke, mlp_bundle: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(mlp_bundle, tmp_path / "bundle")
    words = ("verify", bundle, "--store", tmp_path / "store")
    done = invoke(*words, "--batches", "1,8", "--json")
    check_schema("verify-result", done.json)
    sweep = done.json["batches"]
    assert [one["batch"] for one in sweep["figures"]] == [1, 8]
    assert {one["outcome"] for one in sweep["figures"]} <= {"accepted", "undecided"}
    for text, told in (("1,x", "write whole numbers"), ("0", "sizes are 1 to 4096")):
        refused = invoke(*words, "--batches", text)
        assert refused.code == 2
        assert told in refused.err


def test_a_link_among_the_verifications_is_refused(
    invoke: Invoke, mlp_bundle: Path, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(mlp_bundle, tmp_path / "bundle"))
    (bundle / "verifications").mkdir()
    (bundle / "verifications" / "001.json").symlink_to("/dev/full")
    done = invoke("verify", bundle)
    assert done.code == 4
    assert "verifications" in done.paragraph


@pytest.mark.torch
@pytest.mark.slow
def test_another_board_is_told_apart(invoke: Invoke, text_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(text_bundle, tmp_path / "bundle"))
    refused = invoke("verify", bundle)
    assert refused.code == 2
    assert "--device ssh://USER@HOST" in refused.paragraph
    assert not (bundle / "verifications").exists()
    done = invoke("verify", bundle, "--proxy", "--json")
    assert done.code == 3
    assert done.json["on_target"] is False
    assert "aarch64" in done.json["mismatch"]
    assert done.json["verdict"]["provisional"] is True
    assert "Raspberry Pi 4" in done.json["settle"]
    accepted = invoke("verify", bundle, "--proxy", "--accept-predicted")
    assert accepted.code == 0


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_arrays_from_a_file(invoke: Invoke, mlp_bundle: Path, tmp_path: Path, name: str) -> None:
    values = np.random.default_rng(1).standard_normal((3, 16)).astype(np.float32)
    if name.endswith("y"):
        np.save(tmp_path / name, values)
    else:
        np.savez(tmp_path / name, x=values)
    done = invoke("run", mlp_bundle, "--input", tmp_path / name, "--json")
    assert done.code == 0, done.err
    assert [np.shape(one["outputs"]["y"]) for one in done.json] == [(1, 4)] * 3
    assert invoke("run", mlp_bundle, "-i", tmp_path / name).out.count('"y"') == 3


def test_python_gives_the_same_answers(invoke: Invoke, mlp_bundle: Path, tmp_path: Path) -> None:
    values = np.ones((1, 16), np.float32)
    np.save(tmp_path / "x.npy", values)
    done = invoke("run", mlp_bundle, "--input", tmp_path / "x.npy", "--json")
    (answer,) = deployopt.Bundle.open(mlp_bundle).predict([values])
    assert done.json[0]["outputs"] == answer.outputs
    with pytest.raises(UsageError):
        deployopt.Bundle.open(mlp_bundle).predict(["text for a model of numbers"])


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "x.npy"),
        (b"\x93NUMPY\x01\x00", "x.npy"),
        (None, "x.npy"),
        (np.zeros((2, 15), np.float32), "15"),
        (np.zeros((2, 16), np.float64), "float64"),
        (np.float32(1), "x.npy"),
    ],
    ids=["empty", "cut", "missing", "shape", "type", "scalar"],
)
def test_inputs_that_the_model_does_not_take(
    invoke: Invoke, mlp_bundle: Path, tmp_path: Path, content: object, part: str
) -> None:
    path = tmp_path / "x.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, np.asarray(content))
    done = invoke("run", mlp_bundle, "--input", path)
    assert done.code == 2, done.err
    assert part in done.paragraph
    assert "Traceback" not in done.err
    assert done.out == ""


def test_an_archive_that_lacks_the_input(invoke: Invoke, mlp_bundle: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", other=np.zeros((1, 16), np.float32))
    done = invoke("run", mlp_bundle, "--input", tmp_path / "x.npz")
    assert done.code == 2
    assert "'x'" in done.paragraph
    assert "other" in done.paragraph


def test_nothing_to_predict(invoke: Invoke, mlp_bundle: Path) -> None:
    done = invoke("run", mlp_bundle)
    assert done.code == 2
    assert "--input" in done.paragraph


@pytest.mark.torch
@pytest.mark.slow
def test_texts(invoke: Invoke, text_bundle: Path, tmp_path: Path) -> None:
    one = invoke("run", text_bundle, "a warm, funny, engaging film")
    assert one.code == 0, one.err
    assert one.out.startswith("good  ")
    lines = ["warm funny engaging", "", "dull cold boring", "\N{SNOWMAN} ünknown"]
    (tmp_path / "in.txt").write_text("\n".join(lines) + "\n", "utf-8")
    many = invoke("run", text_bundle, "dull", "--input", tmp_path / "in.txt", "--json")
    assert [answer["label"] for answer in many.json][:3] == ["bad", "good", "bad"]
    assert len(many.json) == 4
    assert all(sum(one["scores"].values()) == pytest.approx(1) for one in many.json)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    wrong = invoke("run", text_bundle, "--input", tmp_path / "latin.txt")
    assert wrong.code == 2
    assert "latin.txt is not UTF-8" in wrong.paragraph
