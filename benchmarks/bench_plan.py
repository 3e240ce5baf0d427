"""How long do the commands that answer before anything is built take, as whole processes?

    pytest benchmarks/bench_plan.py --benchmark-only

The aim is a median under 500 ms, with warm file caches, on a quiet machine: for an alias, for a
folder of a few kilobytes, and for the folder of a decoder with 400 layers and 70 billion parameters
whose headers are read. Nothing is asserted but that the commands answer.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.environment import environment
from tests.fakes.large_folder import write_large_decoder
from tests.fakes.model_folder import write_text_model

COMMANDS = (
    "fit qwen2.5-7b --target rtx3060",
    "fit llama-2-7b --target rtx3060 --training",
    "fit TINY --target rpi4",
    "fit LARGE --target a100x4",
    "fit LARGE --target a100x4 --training",
    "fit CONFIG --target a100x4",
    "plan --model demo-sentiment --target rpi4",
    "plan --model TINY --target rpi4",
    "plan --model LARGE --target a100x4",
    "plan --model CONFIG --target a100x4",
    "recommend --task sentiment --target rpi4 --examples 8000",
    "recommend --task detection --target rtx3060 --realtime",
    "recommend --task text-to-image --target a100x4 --examples 2000000",
)
ANSWERS = frozenset({0, 1, 3})


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny classifier, a large decoder, and the config of the large one alone."""
    root = tmp_path_factory.mktemp("models")
    return {
        "TINY": write_text_model(root / "tiny", tokenizer=True),
        "LARGE": write_large_decoder(root / "large"),
        "CONFIG": write_large_decoder(root / "config", weights=False),
    }


@pytest.mark.parametrize("line", COMMANDS)
def test_an_answer_before_building(
    benchmark: BenchmarkFixture, folders: dict[str, Path], tmp_path: Path, line: str
) -> None:
    words = [str(folders.get(word, word)) for word in line.split()]
    command = [sys.executable, "-m", "deployopt", *words, "--json"]

    def answer() -> None:
        done = subprocess.run(command, check=False, capture_output=True, cwd=tmp_path)
        assert done.returncode in ANSWERS, done.stderr.decode()

    benchmark.extra_info |= environment() | {"aim_median_s": 0.5}
    benchmark.pedantic(answer, rounds=7, warmup_rounds=1)  # type: ignore[no-untyped-call]
