"""The shipped graphs open, and are what their table says."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import onnxruntime
import pytest

from deployopt.core.additive import PRODUCTS, is_convolutional
from deployopt.core.artifact import Precision
from deployopt.core.plan import Operation
from deployopt.device.calibration_graphs import DATA, CalibrationGraph, calibration_graphs

GRAPHS = calibration_graphs()


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.file)
def test_it_runs_and_its_answers_are_finite(graph: CalibrationGraph) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        str(graph.path), options, providers=["CPUExecutionProvider"]
    )
    (given,) = session.get_inputs()
    assert (given.name, tuple(given.shape), given.type) == ("x", graph.shape, "tensor(float)")
    # As when it is timed; values all alike have no variance, which older runtimes divide by.
    feed = np.random.default_rng(0).uniform(0, 1, graph.shape).astype(np.float32)
    (answer,) = session.run(None, {"x": feed})
    assert np.isfinite(answer).all()


@pytest.mark.parametrize(
    "graph", [g for g in GRAPHS if g.precision is Precision.FP32], ids=lambda graph: graph.name
)
def test_the_table_says_what_is_counted_in_the_file(graph: CalibrationGraph) -> None:
    """Where not, the counting has changed: run `python -m tools.make_calibration_models`."""
    counting = pytest.importorskip("deployopt.graph.counting")
    found = counting.facts_from_graph(graph.path, {}).operations
    assert _totals(found) == _totals(graph.operations)


def _totals(operations: Iterable[Operation]) -> Counter[tuple[str, str]]:
    """Multiply-adds and values by kind, and how many operators have any."""
    totals: Counter[tuple[str, str]] = Counter()
    for one in operations:
        if one.activations:
            totals[one.kind, "operators"] += one.count
            totals[one.kind, "macs"] += round(one.macs * one.count)
            totals[one.kind, "values"] += round(one.activations * one.count)
    return totals


def test_every_file_is_in_the_table_and_all_are_small() -> None:
    assert {path.name for path in DATA.glob("*.onnx")} == {graph.file for graph in GRAPHS}
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 400_000


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_every_kind_of_product_and_both_kinds_of_model_are_there(precision: Precision) -> None:
    lot = [graph for graph in GRAPHS if graph.precision is precision]
    alone = Counter(g.operations[0].kind for g in lot if not g.whole)
    assert all(alone[kind] >= 3 for kind in PRODUCTS)
    kinds = Counter(is_convolutional(g.operations) for g in lot if g.whole)
    assert min(kinds[True], kinds[False]) >= 3
