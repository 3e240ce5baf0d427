"""What doctor says of the kernel's means, whatever this machine has."""

import pytest

from deployopt.confinement.confine import Confined
from deployopt.core.diagnosis import State
from deployopt.device.confinement import look_at_confinement

WHOLE = Confined(no_network=True, no_new_privileges=True, landlock=7, seccomp=True)
NOTHING = Confined(no_network=False, no_new_privileges=True, landlock=0, seccomp=False)


@pytest.mark.parametrize(
    ("found", "state", "says"),
    [
        (WHOLE, State.GOOD, "no network, Landlock 7, seccomp"),
        (NOTHING, State.NOTE, "network open, no Landlock, no seccomp"),
    ],
)
def test_what_is_there_and_what_is_not_is_said(found: Confined, state: State, says: str) -> None:
    finding = look_at_confinement(found)
    assert finding.state is state
    assert says in finding.says
    assert bool(finding.mend) == (state is State.NOTE)


def test_this_machine_is_tried() -> None:
    assert look_at_confinement().topic == "confinement"
    assert look_at_confinement().state is not State.BROKEN
