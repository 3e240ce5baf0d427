"""This machine, and whether it is the target."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.evidence import Evidence
from deployopt.core.measurement import Machine
from deployopt.core.target import Target
from deployopt.core.units import Size
from deployopt.device.machine import (
    cgroup_cpus,
    cgroup_memory,
    cpu_features,
    cpu_model,
    describe_machine,
    evidence_of,
    exact_for,
    limits_here,
    matches,
)

PI4 = """\
processor\t: 0
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU part\t: 0xd08

processor\t: 1
Features\t: other
"""


def test_this_machine_is_described() -> None:
    machine = describe_machine()
    assert machine.cores >= len(machine.affinity) >= 1
    assert machine.memory_bytes > 2**28
    assert "onnxruntime" in machine.packages
    assert "CPUExecutionProvider" in machine.providers
    assert machine.cpu


def test_a_board_without_a_model_name_is_told_by_its_parts() -> None:
    assert cpu_model(PI4) == "ARM 0x41/0xd08"
    assert cpu_features(PI4) == {"fp", "asimd", "evtstrm", "crc32", "cpuid"}


def _put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_the_tightest_limit_of_the_newer_groups_counts(tmp_path: Path) -> None:
    _put(tmp_path, "proc/self/cgroup", "0::/box/job\n")
    _put(tmp_path, "sys/fs/cgroup/box/cpu.max", "150000 100000\n")
    _put(tmp_path, "sys/fs/cgroup/box/job/cpu.max", "max 100000\n")
    _put(tmp_path, "sys/fs/cgroup/box/job/memory.max", "max\n")
    _put(tmp_path, "sys/fs/cgroup/box/memory.max", "1000000\n")
    assert cgroup_cpus(tmp_path) == 1.5
    assert cgroup_memory(tmp_path) == 1_000_000


def test_the_older_groups_are_read_too(tmp_path: Path) -> None:
    _put(tmp_path, "proc/self/cgroup", "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n")
    _put(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n")
    _put(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    _put(tmp_path, "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "2000\n")
    _put(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert cgroup_cpus(tmp_path) == 0.5
    assert cgroup_memory(tmp_path) == 2000


def test_no_limit_is_none(tmp_path: Path) -> None:
    _put(tmp_path, "proc/self/cgroup", "3:cpu:/\n")
    _put(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    _put(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert cgroup_cpus(tmp_path) is None
    assert cgroup_memory(tmp_path) is None


def test_the_target_is_this_machine_only_when_all_that_it_names_fits(
    target: Target, machine: Machine
) -> None:
    change = msgspec.structs.replace
    assert matches(target, machine) is None
    assert evidence_of(target, machine) is Evidence.TARGET
    other = change(machine, arch="aarch64")
    assert "aarch64" in (matches(target, other) or "")
    assert evidence_of(target, other) is Evidence.PROXY
    board = change(target, match=change(target.match, board="Raspberry Pi 4"))
    assert "Raspberry Pi 4" in (matches(board, machine) or "")
    pi = change(machine, board="Raspberry Pi 4 Model B Rev 1.4")
    assert matches(board, pi) is None
    large = change(target, match=change(target.match, memory_min=Size(2**33)))
    assert "memory" in (matches(large, machine) or "")
    gpu = change(target, match=change(target.match, gpu="NVIDIA NoSuchCard"))
    assert "NoSuchCard" in (matches(gpu, machine) or "")


@pytest.mark.parametrize(
    ("here", "precision", "reduced", "expected"),
    [
        (("avx2", "avx512_vnni"), Precision.FP32, False, True),
        (("avx2", "avx512_vnni"), Precision.INT8, False, False),
        (("avx2", "avx512_vnni"), Precision.MIXED, False, False),
        (("avx2", "avx512_vnni"), Precision.INT8, True, True),
        (("avx2",), Precision.INT8, False, True),
    ],
)
def test_a_proxy_that_saturates_otherwise_cannot_vouch(
    target: Target,
    machine: Machine,
    here: tuple[str, ...],
    precision: Precision,
    *,
    reduced: bool,
    expected: bool,
) -> None:
    elsewhere = msgspec.structs.replace(
        target, match=msgspec.structs.replace(target.match, board="Another")
    )
    proxy = msgspec.structs.replace(machine, isa=here)
    assert exact_for(elsewhere, proxy, precision, reduced_range=reduced) is expected


def test_the_target_itself_is_always_exact(target: Target, machine: Machine) -> None:
    assert exact_for(target, machine, Precision.INT8, reduced_range=False)


def test_a_child_may_take_most_of_the_memory_that_is_free() -> None:
    limits = limits_here()
    assert limits.memory_bytes is not None
    assert 2**26 < limits.memory_bytes < describe_machine().memory_bytes
