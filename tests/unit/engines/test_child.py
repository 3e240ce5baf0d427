"""What the builder's process makes of what a library says."""

from types import SimpleNamespace

import pytest

from deployopt.core.engine import EngineTensor
from deployopt.engines.child import _tensors, _unbuilt

MEMORY = "Requested amount of GPU memory (17179869184 bytes) could not be allocated."
FOLLOWS = "Error Code 10: Could not find any implementation for node {ForeignNode[a...b]}."


def test_of_several_reasons_the_memory_is_told() -> None:
    refusal = _unbuilt([MEMORY, FOLLOWS])
    assert (refusal.full, refusal.why) == (True, MEMORY)


@pytest.mark.parametrize("errors", [[FOLLOWS], ["something", FOLLOWS]])
def test_another_reason_is_the_last_one(errors: list[str]) -> None:
    refusal = _unbuilt(errors)
    assert (refusal.full, refusal.why) == (False, FOLLOWS)


def test_no_reason_is_said_to_be_none() -> None:
    assert _unbuilt([]).why == "the builder gives no reason"


def test_tensors_are_the_networks_own() -> None:
    given = [
        SimpleNamespace(name="ids", dtype=SimpleNamespace(name="INT64"), shape=(-1, 128)),
        SimpleNamespace(name="x", dtype=SimpleNamespace(name="HALF"), shape=(1,)),
        SimpleNamespace(name="y", dtype=SimpleNamespace(name="FLOAT"), shape=()),
    ]
    assert _tensors(lambda at: given[at], 3) == (
        EngineTensor(name="ids", dtype="int64", shape=(-1, 128)),
        EngineTensor(name="x", dtype="fp16", shape=(1,)),
        EngineTensor(name="y", dtype="fp32", shape=()),
    )
