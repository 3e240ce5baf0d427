"""What every test relies on."""

import os
import signal
from collections.abc import Callable

import pytest
from hypothesis import settings

from tests.fakes.figures import Figures

# A process that tests beside others keeps to a core of its own, and so does all that it starts:
# threads of one would wait for the other's, and what is timed would be the other's work too.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})

# A job started in the background ignores Ctrl-C, and so would every program that a test starts: a
# handler here becomes the default there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The service that runs these tests is not to be told what they judge.
for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
    os.environ.pop(name, None)

# What is asked is what code does, not how soon: the machine may be busy with other things.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_FIGURES = "figures"


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Figures:
    """Takes a line for the end of the run, which may be in another process."""
    return lambda line: record_property(_FIGURES, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where no test's output is shown, what was tried is."""
    lines = [
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == _FIGURES and getattr(report, "when", "") == "teardown"
    ]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)
