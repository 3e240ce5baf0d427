"""Numbers for Triton come from what was measured."""

from pathlib import Path
from typing import Any

import pytest

from deployopt.core.evidence import Evidence
from deployopt.core.exporting import ExportRequest
from deployopt.core.verdict import Check
from deployopt.core.workload import Workload
from deployopt.device.tensors import Tensor, Tensors
from deployopt.pipeline.exporting.served import open_served
from deployopt.pipeline.exporting.triton_batching import Batching, batching_of
from tests.fakes.served import check, served_bundle, target_of, verdict_of

FREE = Tensor(name="x", dtype="float32", shape=("batch", 2))


def batching(
    folder: Path,
    *checks: Check,
    batch: int = 8,
    shape: tuple[int | str, ...] = ("batch", 2),
    **changed: Any,
) -> Batching:
    runtime = changed.pop("runtime", "onnxruntime")
    workload = Workload(batch=batch, length=changed.pop("length", "real"))
    bundle = served_bundle(
        folder, target=target_of(workload, **changed), verdict=verdict_of(*checks), runtime=runtime
    )
    served = open_served(ExportRequest(source=str(bundle), form="triton", output=folder / "out"))
    out = Tensor(name="y", dtype="float32", shape=shape)
    return batching_of(served, Tensors(inputs=(FREE,), outputs=(out,)))


@pytest.mark.parametrize(
    ("limit_ms", "upper_ms", "delay_us"),
    [(60, 10, 10_000), (25, 10, 5_000), (20, 10, 0), (15, 10, 0), (60, None, 0)],
)
def test_the_delay_is_what_the_budget_leaves(
    tmp_path: Path, limit_ms: float, upper_ms: float | None, delay_us: int
) -> None:
    upper = None if upper_ms is None else upper_ms / 1000
    found = batching(tmp_path, check("latency_p95", limit_ms / 1000, upper))
    assert (found.largest, found.delay_us) == (8, delay_us)
    assert ("no latency budget" in found.reasons[1]) == (upper is None)


def test_the_tightest_budget_counts_and_predictions_are_called_so(tmp_path: Path) -> None:
    found = batching(
        tmp_path,
        check("latency_p50", 0.060, 0.010),
        check("latency_p99", 0.040, 0.018, evidence=Evidence.PREDICTED),
    )
    assert found.delay_us == 4_000
    assert "latency_p99" in found.reasons[1]
    assert "(predicted)" in found.reasons[1]
    assert "Triton does not pad" in found.reasons[1]
    assert (
        "does not pad"
        not in batching(tmp_path / "b", check("latency_p95", 1, 0.1), length=9).reasons[1]
    )


def test_nothing_larger_than_what_was_measured(tmp_path: Path) -> None:
    one = batching(tmp_path / "a", batch=1)
    assert (one.largest, one.delay_us) == (1, None)
    assert "[workload] batch = 8" in one.reasons[1]
    fixed = batching(tmp_path / "b", shape=(8, 2))
    assert (fixed.largest, fixed.delay_us) == (0, None)
    openvino = batching(tmp_path / "c", runtime="openvino")
    assert (openvino.largest, openvino.delay_us) == (0, None)


@pytest.mark.parametrize(
    ("cores", "threads", "peak", "count"),
    [(8, 2, 2**28, 4), (8, 3, 2**28, 2), (2, 4, 2**28, 1), (64, 1, 2**30, 3), (4, 1, 2**33, 1)],
)
def test_instances_fit_cores_and_memory(
    tmp_path: Path, cores: int, threads: int, peak: float, count: int
) -> None:
    memory = check("memory_peak", 2**34, peak)
    found = batching(tmp_path, memory, cores=cores, threads=threads)
    assert found.instances == count
    assert ("time them" in found.reasons[2]) == (count > 1)
