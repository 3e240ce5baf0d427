"""What the tests with strangers' files share: their figures, printed at the end of a run."""

from collections.abc import Callable

import pytest

Figures = Callable[[str], None]
_FIGURES = "figures of strangers' files"


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
        terminalreporter.section("strangers' files")
        for line in sorted(lines):
            terminalreporter.write_line(line)
