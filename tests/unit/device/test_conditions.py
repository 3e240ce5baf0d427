"""When a round is void."""

import os
from pathlib import Path

import msgspec
import pytest

from deployopt.core.measurement import Conditions
from deployopt.device.conditions import (
    PREEMPTED_MAX,
    STEAL_MAX,
    SWITCHES_MAX_PER_S,
    Reading,
    conditions_between,
    read_conditions,
    void_reason,
)

QUIET = Reading(
    wall_ns=0,
    cpu_s=0.0,
    switches=0,
    run_delays_ns={"1": 0, "2": 0},
    total_ticks=0,
    steal_ticks=0,
    throttle_flags=None,
    throttle_count=None,
    load1=0.1,
    temperature_c=None,
    frequency_mhz=None,
)
LATER = msgspec.structs.replace(
    QUIET, wall_ns=2_000_000_000, cpu_s=4.0, switches=10, total_ticks=400
)


def test_a_quiet_round_counts() -> None:
    conditions = conditions_between(QUIET, LATER, threads=2)
    assert conditions.cpu_share == 1.0
    assert conditions.switches_per_s == 5.0
    assert conditions.steal_share == 0.0
    assert void_reason(conditions, 2) is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"steal_ticks": 30}, "hypervisor"),
        ({"run_delays_ns": {"1": 300_000_000, "3": 300_000_000}}, "waiting"),
        ({"throttle_flags": 0b100}, "throttled"),
        ({"throttle_flags": 1 << 18}, "throttled"),
        ({"run_delays_ns": {}, "switches": 2000}, "interrupted"),
    ],
)
def test_steal_preemption_and_throttling_void(change: dict[str, object], word: str) -> None:
    after = msgspec.convert(msgspec.to_builtins(LATER) | change, Reading)
    reason = void_reason(conditions_between(QUIET, after, threads=2), 2)
    assert reason is not None
    assert word in reason


def test_a_throttle_long_ago_does_not_void() -> None:
    since_boot = msgspec.structs.replace(QUIET, throttle_flags=1 << 18)
    after = msgspec.structs.replace(LATER, throttle_flags=1 << 18)
    assert conditions_between(since_boot, after, 2).throttled is False


def test_an_x86_throttle_counter_that_rises_voids() -> None:
    before = msgspec.structs.replace(QUIET, throttle_count=3.0)
    same = conditions_between(before, msgspec.structs.replace(LATER, throttle_count=3.0), 1)
    more = conditions_between(before, msgspec.structs.replace(LATER, throttle_count=4.0), 1)
    assert (same.throttled, more.throttled) == (False, True)


def test_a_thread_that_ended_does_not_hide_what_others_waited() -> None:
    before = msgspec.structs.replace(QUIET, run_delays_ns={"1": 500_000_000, "2": 9_000_000_000})
    after = msgspec.structs.replace(LATER, run_delays_ns={"1": 1_500_000_000})
    assert conditions_between(before, after, threads=1).preempted_share == 0.5


def test_limits_are_limits_and_switches_count_only_without_run_delay() -> None:
    at = Conditions(steal_share=STEAL_MAX, preempted_share=PREEMPTED_MAX, switches_per_s=1e6)
    assert void_reason(at, 1) is None
    switching = Conditions(switches_per_s=2 * SWITCHES_MAX_PER_S)
    assert void_reason(switching, 2) is None
    assert void_reason(switching, 1) is not None


def test_a_pi_s_files_are_read(tmp_path: Path) -> None:
    for path, text in {
        "proc/stat": "cpu  10 0 5 80 1 0 1 3 0 0\ncpu0 1 1 1 1 1 1 1 1\n",
        "proc/loadavg": "0.52 0.3 0.2 1/100 123\n",
        "proc/self/task/7/schedstat": "100 40 3\n",
        "proc/self/task/8/schedstat": "100 2 3\n",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "throttled=0x50005\n",
        "sys/class/thermal/thermal_zone0/temp": "61322\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1800000\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "600000\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    reading = read_conditions(tmp_path)
    assert (reading.total_ticks, reading.steal_ticks) == (100, 3)
    assert reading.run_delays_ns == {"7": 40, "8": 2}
    assert reading.load1 == 0.52
    assert reading.throttle_flags == 0x50005
    assert reading.temperature_c == 61.322
    assert reading.frequency_mhz == 600.0


def test_a_machine_that_tells_nothing_is_not_void(tmp_path: Path) -> None:
    reading = read_conditions(tmp_path)
    assert reading.run_delays_ns == {}
    conditions = conditions_between(reading, read_conditions(tmp_path), 1)
    assert conditions.steal_share is None
    assert conditions.throttled is None


def test_run_delay_is_seen_for_real() -> None:
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("this kernel keeps no run delay")
    affinity = os.sched_getaffinity(0)
    before = read_conditions()
    os.sched_setaffinity(0, {min(affinity)})
    child = os.posix_spawn(
        "/bin/sh", ["sh", "-c", "i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done"], {}
    )
    total = sum(i for i in range(3_000_000))
    os.waitpid(child, 0)
    os.sched_setaffinity(0, affinity)
    assert total
    assert (conditions_between(before, read_conditions(), 1).preempted_share or 0) > 0
