"""A processor under the emulator, as a device that answers requests.

In: the same requests as for any device. Out: the same answers, from the real child process with
its code translated. It evaluates, and refuses to time: an emulator's time says nothing.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from deployopt.core.codec import decode_json
from deployopt.core.errors import DeviceError
from deployopt.core.measurement import Machine
from deployopt.device.device import Signs, one_by_one, unheard
from deployopt.device.machine import limits_here
from deployopt.device.protocol import Evaluated, Request, Timed, Timing
from deployopt.device.setup import Limits
from deployopt.device.supervise import ask, child_environment
from deployopt.remote.emulation.facts import Facts
from deployopt.remote.emulation.processors import Processor
from deployopt.remote.emulation.system import PYTHON_PATH, processor_root
from deployopt.remote.emulation.tools import Emulator, run_tool
from deployopt.store.kept import kept_folder

_FACTS_S = 300.0


class EmulatedDevice:
    """A small Debian with the small install, on one processor of the emulator."""

    def __init__(
        self, emulator: Emulator, processor: Processor, home: Path, packages: Path
    ) -> None:
        self._emulator = emulator
        self._processor = processor
        self._root = processor_root(home, processor)
        self._packages = (_ours(home), packages)
        self._facts: Facts | None = None

    @property
    def where(self) -> str:
        """For people."""
        return f"qemu-aarch64 -cpu {self._processor.name}"

    @property
    def facts(self) -> Facts:
        """What the install imports and sees there; raises DeviceError where it does not import."""
        if self._facts is None:
            words = self.command("-m", "deployopt.remote.emulation.facts")
            said = run_tool(
                words,
                f"Importing the packages under {self.where}",
                timeout_s=_FACTS_S,
                environment=child_environment(),
            )
            self._facts = decode_json(said.encode(), Facts, where="what the emulated Python said")
        return self._facts

    @property
    def machine(self) -> Machine:
        """As the program there sees it: the processor is emulated, memory and kernel are ours."""
        return self.facts.machine

    def limits(self) -> Limits:
        """The memory is this machine's."""
        return limits_here()

    def ask(self, request: Request, limits: Limits, signs: Signs = unheard) -> Timed | Evaluated:
        """In a child under the emulator; errors as `supervise.ask` has them."""
        if isinstance(request, Timing):
            raise DeviceError(
                f"{self.where} cannot time a model: under an emulator a time says nothing of the "
                "device. Measure on the device itself, with deployopt verify."
            )
        return ask(request, limits, signs, self.command("-m", "deployopt.device.child"))

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        """Refused one by one."""
        return one_by_one(self, requests, limits, signs)

    def command(
        self, *words: str, plugin: str | None = None, name: Path | None = None
    ) -> list[str]:
        """How to start its Python with these arguments; `name` is what it takes itself to be."""
        python = str(self._root / PYTHON_PATH)
        path = os.pathsep.join(str(folder) for folder in self._packages)
        settings = (f"PYTHONHOME={self._root / 'usr'}", f"PYTHONPATH={path}", *_SETTINGS)
        return [
            *(self._emulator.path, "-cpu", self._processor.name, "-L", str(self._root)),
            *(() if plugin is None else ("-plugin", plugin)),
            *(() if name is None else ("-0", str(name))),
            *(word for setting in settings for word in ("-E", setting)),
            *("-U", "LD_LIBRARY_PATH", "-U", "LD_PRELOAD"),
            *(python, "-P", *words),
        ]


_SETTINGS: Sequence[str] = (
    *("PYTHONDONTWRITEBYTECODE=1", "PYTHONHASHSEED=0", "OMP_NUM_THREADS=1", "LC_ALL=C.UTF-8"),
    *("OPENBLAS_NUM_THREADS=1",),
)


def _ours(home: Path) -> Path:
    """A folder with this package and nothing else of what is installed here."""
    package = Path(__file__).resolve().parents[2]

    def link(folder: Path) -> None:
        folder.mkdir()
        (folder / package.name).symlink_to(package)

    digest = hashlib.sha256(os.fsencode(package)).hexdigest()[:16]
    return kept_folder(home, f"deployopt-{digest}", link)
