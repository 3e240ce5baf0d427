"""A build on the target's own machine: its forms are measured there, and a baseline beside them.

There is no card here: the CPU is in its place in every measured process, and this machine is said
to have one.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from deployopt.core.evidence import Evidence
from deployopt.device import compare, in_turns, machine, supervise
from tests.fakes import card_child, hurried, models
from tests.functional.conftest import Done, Invoke, check_schema

pytestmark = pytest.mark.slow
REAL = supervise.started
CARD = "NVIDIA H100 80GB HBM3"


def started(command: Sequence[str], *more: Any, **named: Any) -> Any:
    """A measured process, begun with a card."""
    assert tuple(command) == supervise.CHILD
    return REAL((sys.executable, "-P", card_child.__file__), *more, **named)


@pytest.fixture(scope="module")
def at_card() -> Iterator[None]:
    """This machine has a card, and an ONNX Runtime for it."""
    there = ("CUDAExecutionProvider", "CPUExecutionProvider")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "gpu_names", lambda: (CARD,))
        patch.setattr(machine, "_providers", lambda: there)
        patch.setattr(compare, "ROUND_S", dict.fromkeys(Evidence, hurried.ROUND_S))
        for module in (supervise, in_turns):
            patch.setattr(module, "started", started)
        yield


@pytest.fixture(scope="module")
def built(invoke: Invoke, shelf: Path, at_card: None) -> Done:  # noqa: ARG001 -- it has to come first
    return build(invoke, shelf, "first")


def build(invoke: Invoke, shelf: Path, name: str, *more: object) -> Done:
    conv, pictures = shelf / "conv.onnx", shelf / "pictures.npz"
    if not conv.exists():
        models.write_conv(conv)
        models.write_arrays(pictures, 3, models.SIDE, models.SIDE)
    return invoke(
        "build", "-t", "h100", "-m", conv, "-d", pictures, "-o", shelf / name, "--json",
        "--store", shelf / "store", "-b", "accuracy_drop=20pt", *more,
    )  # fmt: skip


def test_the_forms_are_measured_where_the_card_is(built: Done) -> None:
    check_schema("build-result", built.json)
    tried = {one["recipe"]: one for one in built.json["candidates"]}
    assert set(tried) == {"float", "fp16"}
    for one in tried.values():
        assert (one["failure"], one["card"]) == (None, None)
        seen = one["latency"]["card"]
        assert (seen["captured_share"], seen["uncaptured"]) == (1.0, "")
        assert 0 < seen["copied_share"] < 1


def test_a_baseline_is_measured_beside_the_winner(invoke: Invoke, shelf: Path, built: Done) -> None:
    done = build(invoke, shelf, "second", "--baseline", built.json["bundle"])
    check_schema("build-result", done.json)
    compared = done.json["baseline"]
    assert compared["old"]["bundle"] == built.json["bundle"]
    assert compared["mismatch"] is None
    assert len(compared["rounds"]) > 0
