"""How long do the commands that only look around take, as whole processes?

    pytest benchmarks/bench_cli.py --benchmark-only

The aim is a median under 300 ms, with warm file caches, on a quiet machine. Nothing is asserted.
"""

import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.environment import environment

COMMANDS = (["--version"], ["--help"], ["targets"], ["targets", "rpi4"], ["build", "--help"])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_look_around(benchmark: BenchmarkFixture, words: list[str]) -> None:
    command = [sys.executable, "-m", "deployopt", *words]
    benchmark.extra_info |= environment()
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        subprocess.run,
        args=(command,),
        kwargs={"check": True, "capture_output": True},
        rounds=15,
        warmup_rounds=2,
    )
    benchmark.extra_info["aim_median_s"] = 0.3
