"""Files of pytest-benchmark: a real one, and what must not be judged."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deployopt.core.errors import UsageError
from deployopt.sources.pytest_benchmark import read_pytest_benchmark
from tests.fakes.benchmarks import saved

TEST = """
import time
def test_predict(benchmark):
    benchmark.pedantic(time.sleep, args=(0.001,), rounds=12, iterations=1)
def test_sum(benchmark):
    benchmark.pedantic(sum, args=([1],), rounds=3, iterations=50)
"""


def without_workers() -> dict[str, str]:
    """Beside other workers pytest-benchmark measures nothing."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), "utf-8")
    return path


def test_what_the_tool_really_writes(tmp_path: Path) -> None:
    pytest.importorskip("pytest_benchmark")
    (tmp_path / "test_it.py").write_text(TEST)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "predict",
         "--benchmark-json=out.json", "--benchmark-autosave", "--benchmark-storage=saved"],
        cwd=tmp_path, check=True, capture_output=True, env=without_workers(),
    )  # fmt: skip
    found = read_pytest_benchmark(tmp_path / "out.json")
    assert list(found.samples_s) == ["test_it.py::test_predict"]
    samples = found.samples_s["test_it.py::test_predict"]
    assert len(samples) == 12
    assert min(samples) >= 0.001
    assert found.host.cores > 0
    assert found.host.system == "Linux"
    assert found.when
    (summary,) = (tmp_path / "saved").rglob("*.json")
    with pytest.raises(UsageError, match="--benchmark-save-data"):
        read_pytest_benchmark(summary)


def test_means_of_several_calls_are_no_latencies(tmp_path: Path) -> None:
    content = saved({"a": [0.1, 0.2]}, iterations=50)
    with pytest.raises(UsageError, match=r"the mean of 50 calls.*iterations=1"):
        read_pytest_benchmark(write(tmp_path / "f", content))


def test_cpu_time_is_no_latency(tmp_path: Path) -> None:
    content = saved({"a": [0.1]})
    content["benchmarks"][0]["options"] = {"timer": "time.process_time"}
    with pytest.raises(UsageError, match="CPU time"):
        read_pytest_benchmark(write(tmp_path / "f", content))
    content["benchmarks"][0]["options"] = {"timer": "perf_counter"}
    assert read_pytest_benchmark(write(tmp_path / "f", content)).samples_s == {"a": (0.1,)}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"benchmarks": []}, "holds no benchmark"),
        ({"benchmarks": 3}, "not a file that pytest-benchmark saved"),
        ({"machine_info": None}, "not a file that pytest-benchmark saved"),
        ({"benchmarks": [{"name": "a", "stats": {"data": []}}]}, "holds no figures"),
        ({"benchmarks": [{"name": "a", "stats": {"data": [0.1, -1.0]}}]}, "figure 2 is -1.0"),
        ({"benchmarks": [{"name": "a", "stats": {"data": [float("nan")]}}]}, "not a file"),
        ({"benchmarks": [{"name": "a", "stats": {"data": ["x"]}}]}, "not a file"),
        ({"benchmarks": [{"name": "a", "stats": {"data": [1e400]}}]}, "not a file"),
        ({"benchmarks": [{"name": "a", "stats": {"mean": 1}}]}, "--benchmark-save-data"),
        ({"benchmarks": [{"name": "a", "stats": {"data": [0.1]}}] * 2}, "'a' twice"),
    ],
)
def test_what_is_refused(tmp_path: Path, change: dict[str, Any], part: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_pytest_benchmark(write(tmp_path / "f", saved({"a": [0.1]}) | change))
    assert part in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 99_999, b'"\x1b[31m"', b"null"])
def test_what_is_no_such_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(UsageError, match="is not a file that pytest-benchmark saved"):
        read_pytest_benchmark(tmp_path / "f")
