"""This machine as a target, and targets as TOML."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.codec import decode_toml
from deployopt.core.measurement import Machine
from deployopt.core.target import Target
from deployopt.device import detect as module
from deployopt.device.detect import detect, to_toml, usable_cores
from deployopt.device.gpu import GpuFound
from deployopt.device.machine import describe_machine, matches
from deployopt.planning.targets import load_target, target_names


@pytest.fixture(autouse=True)
def _quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "copy_bandwidth", lambda _: 12.3456e9)
    monkeypatch.setattr(module, "float_rate", lambda _: 98.7654e9)
    monkeypatch.setattr(module, "int8_rate", lambda _: 1.23456e12)


def test_what_is_detected_is_this_machine_and_reads_back(tmp_path: Path) -> None:
    found = detect()
    assert matches(found, describe_machine()) is None
    path = tmp_path / "here.toml"
    path.write_text(to_toml(found))
    assert load_target(str(path)) == found
    assert 'bandwidth = "12.3 GB/s"' in path.read_text()
    assert 'int8 = "1.45 TOP/s"' in path.read_text()


@pytest.mark.parametrize("name", target_names())
def test_every_shipped_target_survives_the_way_through_toml(name: str) -> None:
    target = load_target(name)
    assert decode_toml(to_toml(target).encode(), Target, where=name) == target


def test_names_with_quotes_and_controls_do_not_break_the_file(machine: Machine) -> None:
    odd = msgspec.structs.replace(machine, cpu='a "b" \\ c\nd\x7f', board='x"]\n[evil]')
    found = detect(odd)
    assert decode_toml(to_toml(found).encode(), Target, where="odd") == found


def test_a_gpu_is_named(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    card = GpuFound(name="NVIDIA T4", memory_bytes=2**34, compute_capability="7.5")
    monkeypatch.setattr(module, "find_gpus", lambda: (card, card))
    cuda = msgspec.structs.replace(machine, providers=("CUDAExecutionProvider",))
    found = detect(cuda)
    assert found.hardware.gpu is not None
    assert (found.hardware.gpu.count, found.match.gpu_count) == (2, 2)
    assert found.runtime.provider == "cuda"
    assert detect(machine).runtime.provider == "cpu"


def test_a_quota_leaves_fewer_cores(machine: Machine) -> None:
    assert usable_cores(machine) == 2
    assert usable_cores(msgspec.structs.replace(machine, cgroup_cpus=1.5)) == 1
    assert usable_cores(msgspec.structs.replace(machine, cgroup_cpus=0.5)) == 1
