"""The calls about machines: this one, and the shipped targets."""

from pathlib import Path

from deployopt.core.diagnosis import Diagnosis
from deployopt.core.target import Target
from deployopt.core.watching import SILENT, Watcher


def detect(*, calibrate: bool = False, watcher: Watcher = SILENT) -> Target:
    """This machine as a target, by real probes; takes a few seconds.

    With `calibrate` operators and small models are timed as well, in one to three minutes, and
    predictions for the target rest on them.

    Raises:
        DeviceError: too few of them could be timed: the machine is busy.
        UsageError: the machine's models run on its GPU, which no calibration covers.
    """
    from deployopt.device.detect import detect as run_detect

    if not calibrate:
        return run_detect()
    from deployopt.device.calibrate import calibrated

    return calibrated(run_detect(), watcher)


def targets() -> tuple[str, ...]:
    """The names of the shipped targets."""
    from deployopt.planning.targets import target_names

    return tuple(target_names())


def load_target(name: str | Path) -> Target:
    """A shipped target by name, or a TOML file.

    Raises:
        UsageError: no such target, or the file is wrong; says where.
    """
    from deployopt.planning.targets import load_target as load

    return load(str(name))


def doctor(*, store: Path | None = None) -> Diagnosis:
    """What is installed here and what it enables, and what spoils measurements now; takes 2 s."""
    from deployopt.device.cards import look_at_cards
    from deployopt.device.checkup import check_up, look
    from deployopt.device.confinement import look_at_confinement
    from deployopt.device.installs import look_at_installs
    from deployopt.device.machine import describe_machine
    from deployopt.device.machine import matches as fits
    from deployopt.planning.targets import load_target as load
    from deployopt.planning.targets import target_names
    from deployopt.store.layout import default_root

    # A runtime that is broken must not break the doctor, so it is not asked itself.
    machine = describe_machine(runtime=False)
    return Diagnosis(
        machine=machine,
        targets=tuple(name for name in target_names() if fits(load(name), machine) is None),
        installs=(*look_at_installs(), look_at_cards(), look_at_confinement()),
        conditions=check_up(machine, look(store or default_root())),
    )
