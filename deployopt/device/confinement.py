"""What this machine's kernel lets a process give up before it opens a stranger's file.

In: nothing. Out: a finding for `doctor`, after a process of its own has tried.
"""

from deployopt.confinement.confine import Confined, offered
from deployopt.core.diagnosis import Finding, State

TOPIC = "confinement"
_ALWAYS = "limits of memory, time and files are always set"


def look_at_confinement(found: Confined | None = None) -> Finding:
    """One line; what is missing is a note, as the rest holds without it."""
    confined = found or offered()
    if confined is None:
        says = f"could not be tried here; {_ALWAYS}"
        return Finding(topic=TOPIC, state=State.WARNING, says=says)
    landlock = f"Landlock {confined.landlock}" if confined.landlock else "no Landlock"
    network = "no network" if confined.no_network else "network open"
    calls = "seccomp" if confined.seccomp else "no seccomp"
    says = f"strangers' files are read with {network}, {landlock}, {calls}"
    whole = confined.no_network and confined.landlock and confined.seccomp
    if whole:
        return Finding(topic=TOPIC, state=State.GOOD, says=says)
    return Finding(topic=TOPIC, state=State.NOTE, says=f"{says}; {_ALWAYS}", mend=_mend(confined))


def _mend(confined: Confined) -> str:
    if not confined.no_network:
        return "allow user namespaces, or run it where the container has no network"
    return "a kernel of 5.13 or later with Landlock among its security modules, on x86 or ARM"
