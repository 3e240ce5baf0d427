"""A bundle on a device: an environment that holds the small install and nothing of what builds.

`DEPLOYOPT_SMALL_PYTHON` names the Python of such an environment; CI always has one.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.functional.conftest import Done, check_schema, outside

BUILDING = ("torch", "transformers", "onnx", "optimum", "safetensors", "pyarrow", "PIL")


@pytest.fixture(scope="module")
def small() -> Path:
    """The Python of the small environment."""
    named = os.environ.get("DEPLOYOPT_SMALL_PYTHON")
    if not named:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must name the small environment in DEPLOYOPT_SMALL_PYTHON")
        pytest.skip("DEPLOYOPT_SMALL_PYTHON names no environment with the small install")
    return Path(named).absolute()


@pytest.fixture
def device(small: Path, tmp_path: Path) -> "Device":
    return Device(small, tmp_path)


class Device:
    """The command as it is installed there, in a folder that holds no checkout."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python = python
        self.folder = folder

    def __call__(self, *words: object) -> Done:
        return self.start(self.python.with_name("deployopt"), *words)

    def start(self, *command: object) -> Done:
        # The checkout must not be found, or the installed package would not be what is tested.
        home = {"PYTHONPATH": "", "DEPLOYOPT_HOME": str(self.folder / "home")}
        return outside(command, self.folder, home)


def test_it_holds_nothing_that_builds(device: Device) -> None:
    code = (
        "import importlib.util, json, deployopt; "
        f"there = [n for n in {BUILDING!r} if importlib.util.find_spec(n)]; "
        "print(json.dumps([there, deployopt.__file__]))"
    )
    found = device.start(device.python, "-c", code)
    there, file = json.loads(found.out)
    assert there == []
    assert "site-packages" in file


def test_the_targets_came_along(device: Device) -> None:
    done = device("targets", "--json")
    assert done.code == 0, done.err
    assert {"rpi4", "x86-cpu", "h100"} <= {target["name"] for target in done.json}


@pytest.mark.slow
def test_a_graph_is_verified_and_answers(device: Device, mlp_bundle: Path) -> None:
    bundle = shutil.copytree(mlp_bundle, device.folder / "bundle")
    done = device("verify", "bundle", "--json")
    assert done.code in {0, 3}, done.err
    check_schema("verify-result", done.json)
    assert done.json["on_target"] is True
    assert (bundle / "verifications" / "001.json").is_file()
    values = np.ones((2, 16), np.float32)
    for name in ("x.npy", "x.npz"):
        if name == "x.npy":
            np.save(device.folder / name, values)
        else:
            np.savez(device.folder / name, x=values)
        answered = device("run", "bundle", "--input", name, "--json")
        assert answered.code == 0, answered.err
        assert len(answered.json) == 2


def test_a_changed_byte_is_found_there_too(device: Device, mlp_bundle: Path) -> None:
    bundle = Path(shutil.copytree(mlp_bundle, device.folder / "bundle"))
    data = bytearray((bundle / "model" / "model.onnx").read_bytes())
    data[50] ^= 1
    (bundle / "model" / "model.onnx").write_bytes(data)
    done = device("verify", "bundle")
    assert done.code == 4
    assert "'model/model.onnx' has other bytes" in done.paragraph


def test_building_says_what_to_install(device: Device, mlp: Path) -> None:
    done = device("build", "-t", "rpi4", "-m", mlp, "-o", "b", "--store", "store")
    assert done.code == 2
    assert "pip install 'deployopt[build]'" in done.paragraph
    assert "Traceback" not in done.err
    assert not (device.folder / "b").exists()


def test_the_light_commands_work(device: Device) -> None:
    for words in (("--help",), ("--version",), ("targets", "rpi4"), ("verify", "--help")):
        done = device(*words)
        assert done.code == 0, done.err


@pytest.mark.torch
@pytest.mark.slow
def test_a_text_bundle_is_verified_and_answers(device: Device, text_bundle: Path) -> None:
    shutil.copytree(text_bundle, device.folder / "bundle")
    done = device("verify", "bundle", "--proxy", "--json")
    assert done.code == 3, done.err
    assert done.json["verdict"]["provisional"] is True
    assert done.json["accuracy"]["trial"]["examples"] > 1_000
    answered = device("run", "bundle", "a warm, funny, engaging film")
    assert answered.code == 0, answered.err
    assert answered.out.startswith("good")
    (device.folder / "in.txt").write_text("dull\nwarm funny\n", "utf-8")
    many = device("run", "bundle", "--input", "in.txt", "--json")
    assert [one["label"] for one in many.json] == ["bad", "good"]
