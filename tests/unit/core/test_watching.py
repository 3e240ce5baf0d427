"""Nobody watching is a watcher too."""

from deployopt.core.watching import SILENT, Watcher


def test_the_silent_watcher_takes_every_call() -> None:
    watcher: Watcher = SILENT
    watcher.stage("measure", 5, quiet=True)
    watcher.advance(0.5, "int8")
    watcher.note("done")
