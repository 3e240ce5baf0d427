"""What `doctor` finds: what is installed, what that enables, what spoils measurements."""

from enum import StrEnum

import msgspec

from deployopt.core.errors import ExitCode
from deployopt.core.measurement import Machine

SCHEMA_VERSION = 1


class State(StrEnum):
    """How much a finding matters."""

    GOOD = "good"
    NOTE = "note"
    """Worth knowing; nothing to mend."""
    WARNING = "warning"
    """Measurements may be noisy, slow, or undecided."""
    BROKEN = "broken"
    """Something cannot work."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that was looked at; `mend` is a command or a sentence where it can be mended."""

    topic: str
    state: State
    says: str
    mend: str = ""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that was found."""

    schema_version: int = SCHEMA_VERSION
    machine: Machine
    targets: tuple[str, ...] = ()
    """Shipped targets that this machine is."""
    installs: tuple[Finding, ...] = ()
    conditions: tuple[Finding, ...] = ()

    @property
    def exit_code(self) -> int:
        """Failed where something is broken; noise alone is none."""
        findings = (*self.installs, *self.conditions)
        broken = any(one.state is State.BROKEN for one in findings)
        return ExitCode.FAILED if broken else ExitCode.ACCEPTED
