"""What spoils measurements: each cause by itself, then this machine as it is."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.diagnosis import Diagnosis, Finding, State
from deployopt.core.measurement import Machine
from deployopt.device.checkup import Look, Neighbour, check_up, look
from deployopt.device.conditions import Reading
from deployopt.device.machine import boost, describe_machine
from tests.fakes.results import MACHINE

QUIET = Reading(
    wall_ns=0,
    cpu_s=0.0,
    switches=0,
    run_delays_ns={"1": 5},
    total_ticks=1000,
    steal_ticks=0,
    throttle_flags=0,
    throttle_count=None,
    load1=0.0,
    temperature_c=45.0,
    frequency_mhz=1500.0,
)
GOOD = Look(
    before=QUIET,
    after=msgspec.structs.replace(QUIET, total_ticks=1200),
    neighbours=(),
    free_memory_bytes=4 << 30,
    swapped_bytes=0,
    free_disk_bytes=20 << 30,
)
PI = msgspec.structs.replace(
    MACHINE,
    arch="aarch64",
    cores=4,
    affinity=(0, 1, 2, 3),
    governor="performance",
    cgroup_cpus=None,
)


def found(machine: Machine = PI, seen: Look = GOOD) -> dict[str, Finding]:
    return {finding.topic: finding for finding in check_up(machine, seen)}


def after(**changes: object) -> Look:
    return msgspec.structs.replace(GOOD, after=msgspec.structs.replace(GOOD.after, **changes))


def test_a_quiet_board_has_nothing_to_mend() -> None:
    findings = found()
    assert {finding.state for finding in findings.values()} == {State.GOOD}
    assert Diagnosis(machine=PI, conditions=tuple(findings.values())).exit_code == 0


@pytest.mark.parametrize("governor", ["ondemand", "powersave", "schedutil"])
def test_a_governor_that_waits_for_load(governor: str) -> None:
    finding = found(msgspec.structs.replace(PI, governor=governor))["governor"]
    assert finding.state is State.WARNING
    assert "scaling_governor" in finding.mend


def test_a_quota_below_the_cores() -> None:
    finding = found(msgspec.structs.replace(PI, cgroup_cpus=1.5))["quota"]
    assert finding.state is State.WARNING
    assert "1.5 cores' time of 4" in finding.says
    assert "quota" not in found(msgspec.structs.replace(PI, cgroup_cpus=4.0))


def test_fewer_cores_smt_and_turbo_are_told() -> None:
    machine = msgspec.structs.replace(
        PI, affinity=(2, 3), smt=True, boost=True, arch="x86_64", cpu="Intel(R) Xeon(R)"
    )
    findings = found(machine)
    assert findings["cores"].says == "2 of 4 may be used"
    assert findings["smt"].state is State.NOTE
    assert "intel_pstate" in findings["turbo"].mend
    amd = msgspec.structs.replace(machine, cpu="AMD EPYC")
    assert "cpufreq/boost" in found(amd)["turbo"].mend


@pytest.mark.parametrize(
    ("flags", "state", "says", "mend"),
    [
        (0x1, State.WARNING, "now: under-voltage", "supply"),
        (0x50005, State.WARNING, "now: under-voltage, it is throttled", "supply"),
        (0x40000, State.NOTE, "since boot: it is throttled", "cool"),
        (0x0, State.GOOD, "none since boot", ""),
    ],
)
def test_a_pi_s_flags(flags: int, state: State, says: str, mend: str) -> None:
    finding = found(seen=after(throttle_flags=flags))["throttling"]
    assert (finding.state, finding.says) == (state, says)
    assert mend in finding.mend


def test_heat_steal_memory_and_disk() -> None:
    assert found(seen=after(temperature_c=81.0))["heat"].state is State.WARNING
    assert found(seen=after(steal_ticks=40))["steal"].state is State.WARNING
    assert found(seen=after(steal_ticks=None))["steal"].state is State.NOTE
    little = msgspec.structs.replace(GOOD, free_memory_bytes=1 << 20, free_disk_bytes=1 << 20)
    assert found(seen=little)["memory"].state is State.WARNING
    assert "deployopt gc" in found(seen=little)["disk"].mend


def test_neighbours_are_named() -> None:
    busy = tuple(Neighbour(name=f"p{at}", pid=at, share=0.3 / at) for at in (1, 2, 3, 4))
    finding = found(seen=msgspec.structs.replace(GOOD, neighbours=busy))["neighbours"]
    assert finding.state is State.WARNING
    assert "p1 (1) 30%" in finding.says
    assert "p4" not in finding.says


def test_boost_as_intel_and_as_others_say_it(tmp_path: Path) -> None:
    cpu = tmp_path / "sys/devices/system/cpu"
    assert boost(tmp_path) is None
    (cpu / "cpufreq").mkdir(parents=True)
    (cpu / "cpufreq/boost").write_text("1\n")
    assert boost(tmp_path) is True
    (cpu / "intel_pstate").mkdir()
    (cpu / "intel_pstate/no_turbo").write_text("1\n")
    assert boost(tmp_path) is False


def test_this_machine_is_looked_at_for_real(tmp_path: Path) -> None:
    seen = look(tmp_path / "not" / "there" / "yet", seconds=0.1)
    assert seen.free_disk_bytes > 0
    assert seen.after.wall_ns > seen.before.wall_ns
    topics = {finding.topic for finding in check_up(describe_machine(runtime=False), seen)}
    assert {"cores", "governor", "heat", "neighbours", "steal", "memory", "disk"} <= topics
