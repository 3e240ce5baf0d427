"""Who watches a long command: stages, how far each has come, and words along the way.

The pipeline calls a Watcher; a terminal draws it, a script passes `SILENT`. A watcher never decides
anything and never raises.
"""

from typing import Final, Protocol


class Watcher(Protocol):
    """Told what happens, in order, from one thread."""

    def stage(self, name: str, total: int | None = None, *, quiet: bool = False) -> None:
        """A stage begins and the one before has ended; `total` is how many things it counts.

        `quiet` says that something is being timed: the watcher must do nothing on its own then.
        """

    def advance(self, share: float, words: str = "") -> None:
        """`share` (0 to 1) of the current stage is done; has the form of StepContext.progress."""

    def note(self, text: str) -> None:
        """One sentence that stays on the screen."""


class _Silent:
    """No one is watching."""

    def stage(self, name: str, total: int | None = None, *, quiet: bool = False) -> None:
        pass

    def advance(self, share: float, words: str = "") -> None:
        pass

    def note(self, text: str) -> None:
        pass


SILENT: Final[Watcher] = _Silent()
