"""The shapes of the catalogue's models, every one of them."""

import msgspec
import pytest

from deployopt.catalogue.models import Entry, entries, find_entry
from deployopt.core.errors import UsageError
from deployopt.core.plan import Operation
from deployopt.core.workload import Workload
from deployopt.planning.entries import architecture_of
from deployopt.planning.operations import facts_of
from tests.fakes.shapes import macs

CONV = Operation(kind="conv3x3", macs=1e6, weights=900, activations=5e3, count=7)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.alias)
def test_every_entry_can_be_counted(entry: Entry) -> None:
    shape = architecture_of(entry)
    assert shape.parameters == entry.parameters
    assert entry.alias in shape.basis
    facts = facts_of(shape, Workload())
    assert macs(facts) > 0
    assert facts.peak_activation_bytes > 0


def test_operators_stand_beside_what_the_config_says() -> None:
    entry = find_entry("bert-base")
    with_stem = msgspec.structs.replace(
        entry, operations=(CONV,), activations=10**9, image_size=300, parameters=5
    )
    plain, both = architecture_of(entry), architecture_of(with_stem)
    assert both.stacks == plain.stacks
    assert both.operations == (*plain.operations, CONV)
    assert (both.activations, both.image_size, both.parameters) == (10**9, 300, 5)


def test_operators_alone_are_a_net() -> None:
    entry = msgspec.structs.replace(
        find_entry("bert-base"), config={}, operations=(CONV,), activations=9, context=None
    )
    net = architecture_of(entry)
    assert (net.stacks, net.operations, net.activations) == ((), (CONV,), 9)
    assert "operators" in net.basis


def test_an_entry_without_a_shape_says_what_to_give() -> None:
    entry = msgspec.structs.replace(find_entry("bert-base"), config={}, operations=())
    with pytest.raises(UsageError, match=r"does not hold the shape of 'bert-base'.*--params"):
        architecture_of(entry)


def test_it_is_worked_out_once() -> None:
    assert architecture_of(find_entry("bert-base")) is architecture_of(find_entry("BERT-base"))


READ_ONCE = [e for e in entries() if not e.operations and architecture_of(e).stacks]
"""Operators of nets and of image makers may be read several times."""


@pytest.mark.parametrize("entry", READ_ONCE, ids=lambda entry: entry.alias)
def test_every_weight_is_read_once(entry: Entry) -> None:
    """Products' weights and tables are all parameters but for biases and norms."""
    shape = architecture_of(entry)
    facts = facts_of(shape, Workload(length=512, batch=64))
    tables = shape.embedding_parameters
    if shape.tied and shape.generates:  # the head is the table, and is read whole
        tables -= shape.vocabulary * shape.stacks[-1].hidden
    read = sum(one.weights * one.count for one in facts.operations)
    assert tables + read == pytest.approx(shape.parameters, rel=0.04)
