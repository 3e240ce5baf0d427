"""Memory that is to come counts as taken."""

import os

from deployopt.pipeline.matrix.admission import (
    Admission,
    Use,
    free_bytes,
    machine_bytes,
    resident_bytes,
)


def use(predicted: int, resident: int = 0, *, alone: bool = False) -> Use:
    return Use(predicted_bytes=predicted, resident_bytes=resident, alone=alone)


def test_the_first_one_always_begins() -> None:
    assert Admission(lambda: 0).admits(10**12, [])


def test_what_runs_will_grow_to_what_was_predicted() -> None:
    admission = Admission(lambda: 100)
    assert admission.admits(40, [use(60)])
    assert not admission.admits(41, [use(60)])
    assert admission.admits(41, [use(60, 30)])
    assert admission.admits(100, [use(60, 90)])


def test_who_needs_the_machine_alone_has_it() -> None:
    admission = Admission(lambda: 100)
    assert not admission.admits(1, [use(1)], alone=True)
    assert not admission.admits(1, [use(1, alone=True)])


def test_this_machine_has_memory() -> None:
    assert 0 < free_bytes() < machine_bytes()
    assert resident_bytes(os.getpid()) > 10**6
    assert resident_bytes(2**22 + 1) == 0
