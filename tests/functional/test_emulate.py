"""ARM code under the real emulator: answers, counts, the small install, a runtime that dies there.

The system and the packages are fetched once, into $DEPLOYOPT_ARM_STORE where it is set.
"""

import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import DeviceError
from deployopt.device.accuracy import evaluate
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.setup import Limits
from deployopt.planning.targets import load_target
from deployopt.remote.emulation.device import EmulatedDevice
from deployopt.remote.emulation.furnishing import Bench, furnished
from deployopt.remote.emulation.installing import unpacked
from deployopt.remote.emulation.processors import processor_of
from deployopt.remote.emulation.tools import find_emulator
from tests.fakes.arm_bundles import write_bundle
from tests.functional.conftest import Done, check_schema, invoke_here, outside

pytestmark = pytest.mark.arm
ARITHMETIC = ("dot", "float_multiply_add", "integer_multiply")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the system for ARM is kept."""
    kept = os.environ.get("DEPLOYOPT_ARM_STORE")
    return Path(kept) if kept else tmp_path_factory.mktemp("arm")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same layer in floating point and in integers."""
    folder = tmp_path_factory.mktemp("bundles")
    return {form: write_bundle(folder / form, int8=form == "int8") for form in ("float", "int8")}


@pytest.fixture(scope="module")
def bench(store: Path) -> Bench:
    """A Pi 4's processor with the small install."""
    return furnished(store, load_target("rpi4"))


def emulated(store: Path, bundle: Path, *words: object) -> Done:
    """The command, its result on stdout."""
    return invoke_here("emulate", bundle, "--store", store, "--json", "-q", *words)


@pytest.fixture(scope="module")
def found(store: Path, bundles: dict[str, Path]) -> dict[tuple[str, str], Done]:
    """Both forms on a Pi 4's processor, integers on a Pi 5's as well."""
    runs = (("float", "rpi4"), ("int8", "rpi4"), ("int8", "rpi5"))
    return {(form, board): emulated(store, bundles[form], "-t", board) for form, board in runs}


def counts(done: Done) -> dict[str, int]:
    """By kind."""
    by_kind: dict[str, int] = done.json["counts"]["by_kind"]
    return by_kind


def test_answers_are_those_of_this_machine(found: dict[tuple[str, str], Done]) -> None:
    for done in found.values():
        assert done.code == 0, done.err
        result = done.json
        check_schema("emulate-result", result)
        numerics = result["numerics"]
        assert numerics["examples"] == numerics["within"] == numerics["same_class"] == 8
        assert numerics["worst"] <= 1e-5
        assert numerics["agree_reference"] == numerics["agree_reference_here"] >= 7
        assert result["gate_examples"] == 12


def test_the_small_install_imports_there(found: dict[tuple[str, str], Done]) -> None:
    done = found["int8", "rpi4"]
    install = done.json["install"]
    assert {"numpy", "onnxruntime", "tokenizers", "msgspec"} <= set(install["versions"])
    assert not {"torch", "onnx", "transformers"} & set(install["versions"])
    assert {"onnxruntime", "deployopt.device.verify"} <= set(install["imported"])
    assert 100e6 < sum(install["sizes"].values()) < 250e6
    assert "for aarch64" in done.paragraph
    assert [line for line in done.err.splitlines() if len(line.rstrip()) > 80] == []


def test_counts_say_which_arithmetic(found: dict[tuple[str, str], Done]) -> None:
    """A Cortex-A72 multiplies bytes by SMLAL, a Cortex-A76 by SDOT; floats need FMLA."""
    products = 48 * 256 * 256
    float4, int4, int5 = (counts(done) for done in found.values())
    requests = found["float", "rpi4"].json["counts"]["requests"]
    assert float4["float_multiply_add"] / requests == pytest.approx(products / 4, rel=0.02)
    assert int5["dot"] / requests == pytest.approx(products / 16, rel=0.02)
    assert int4["dot"] == float4["dot"] == 0
    assert int4["integer_multiply"] / requests > products / 9
    assert int5["integer_multiply"] < int4["integer_multiply"] / 50
    whole = [sum(each.values()) for each in (float4, int4, int5)]
    assert whole[0] > whole[1] > 1.5 * whole[2]


def test_the_same_again_counts_the_same_and_growth_is_rejected(
    found: dict[tuple[str, str], Done], store: Path, bundles: dict[str, Path], tmp_path: Path
) -> None:
    """Against a result that was made cheaper by hand."""
    cheaper = tmp_path / "cheaper.json"
    result = json.loads(found["int8", "rpi4"].out)
    result["counts"]["by_kind"]["integer_multiply"] //= 2
    cheaper.write_text(json.dumps(result))
    again = emulated(store, bundles["int8"], "--compare", cheaper, "--max-growth", "2%")
    assert again.code == 1
    assert "more than the 2 % that may be" in again.paragraph
    before, after = counts(found["int8", "rpi4"]), counts(again)
    assert {kind: before[kind] for kind in ARITHMETIC} == {k: after[k] for k in ARITHMETIC}
    assert sum(after.values()) == pytest.approx(sum(before.values()), rel=5e-3)


def test_a_runtime_that_dies_there_is_refused(store: Path, bundles: dict[str, Path]) -> None:
    done = emulated(store, bundles["float"], "--onnxruntime", "1.21.0")
    assert done.code == 2
    assert "1.21.0 is not one that rpi4 allows" in done.paragraph


def test_and_it_does_die_there(store: Path, bundles: dict[str, Path]) -> None:
    """ONNX Runtime 1.21.0 uses an instruction that a Cortex-A72 lacks."""
    home = store / "emulation"
    packages = unpacked(home, "==1.21.0").folder
    device = EmulatedDevice(find_emulator(), processor_of(load_target("rpi4")), home, packages)
    opened = open_bundle(bundles["float"])
    assert opened.gate is not None
    with pytest.raises(DeviceError, match="SIGILL"):
        evaluate(
            opened.setup, opened.gate, bundles["float"].parent, device, limits=Limits(wall_s=120)
        )


def test_verify_and_run_work_there(bench: Bench, tmp_path: Path) -> None:
    """The program itself under the emulator, its children too; of few rows, as many are asked."""
    bundles = {
        form: write_bundle(tmp_path / form, int8=form == "int8", rows=2)
        for form in ("float", "int8")
    }
    python = tmp_path / "python"
    words = bench.device.command(name=python)
    python.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    python.chmod(0o755)
    inputs = tmp_path / "x.npz"
    np.savez(inputs, x=np.ones((1, 2, 256), dtype=np.float32))
    for form in ("float", "int8"):
        there = outside(
            [python, "-m", "deployopt.cli.main", "run", bundles[form], "-i", inputs, "--json"],
            tmp_path,
        )
        here = invoke_here("run", bundles[form], "-i", inputs, "--json")
        assert (there.code, here.code) == (0, 0), there.err
        assert there.json[0]["scores"] == pytest.approx(here.json[0]["scores"], rel=1e-4)
    verified = outside(
        [
            *(python, "-m", "deployopt.cli.main", "verify", bundles["int8"], "--proxy", "--json"),
            *("-q", "--store", tmp_path / "store"),
        ],
        tmp_path,
    )
    assert verified.code in {0, 3}, verified.err
    assert verified.json["machine"]["arch"] == "aarch64"
    assert verified.json["accuracy"]["trial"]["examples"] == 12
