"""The tests that a bundle gives: one a budget, and one for the artifact as a whole.

In: a bundle. Out: items for pytest. An undecided budget fails, for what is not proved is not met.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from deployopt.core.budget import Budget
from deployopt.core.codec import decode_json
from deployopt.core.errors import DeployoptError
from deployopt.core.text import safe_text
from deployopt.reports.ci_record import CiCase, CiSummary
from deployopt.reports.ci_summary import verify_summary
from deployopt.reports.words import budget_words
from deployopt.testing.verifying import Once

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr, TracebackStyle

BUDGETS: Final = "budgets.json"
ARTIFACT: Final = "artifact"


class BudgetMissedError(Exception):
    """A budget is rejected or undecided; the text says why."""


def bundle_items(session: pytest.Session, once: Once) -> Iterator[pytest.Item]:
    """One a budget, in the bundle's order, then the artifact's."""
    file: BundleFile = BundleFile.from_parent(session, path=once.bundle / BUDGETS)
    file.once = once
    return session.genitems(file)


class BundleFile(pytest.File):
    """The file that a bundle's budgets stand in."""

    once: Once

    def collect(self) -> "Iterator[BundleItem]":
        """A test a budget, and one for what no budget says.

        Raises:
            CollectError: the budgets cannot be read.
        """
        try:
            budgets = decode_json(self.path.read_bytes(), tuple[Budget, ...], where=str(self.path))
            titles = {b.metric: budget_words(b.metric, b.limit) for b in budgets}
        except (DeployoptError, OSError) as error:
            raise self.CollectError(_safe_lines(str(error))) from error
        titles |= {ARTIFACT: "the artifact"}
        for name, title in titles.items():
            item: BundleItem = BundleItem.from_parent(self, name=name)
            item.once, item.names, item.title = self.once, tuple(titles), title
            yield item


class BundleItem(pytest.Item):
    """One budget of the bundle, or with the name `artifact` what no budget says."""

    # Set by the file: pytest makes an item from its name and its parent.
    once: Once
    names: tuple[str, ...]
    title: str

    def runtest(self) -> None:
        """Verify the bundle, unless another test has; fail unless this budget is met.

        Raises:
            BudgetMissedError: it is rejected or undecided.
            DeployoptError: the bundle could not be verified.
        """
        summary = verify_summary(self.once.result())
        found = [case for case in summary.cases if case.name == self.name]
        if self.name == ARTIFACT:
            self._judge_whole(summary, found)
        elif not found:
            raise BudgetMissedError(f"{self.title}: the verdict says nothing of this budget.")
        for case in found:
            if summary.stopped_by(case):
                raise BudgetMissedError(self._told(summary, case))

    def _judge_whole(self, summary: CiSummary, found: list[CiCase]) -> None:
        """What is not accepted must be seen in some test: here, where nowhere else."""
        unknown = {case.name for case in summary.cases} - set(self.names)
        seen = any(summary.stopped_by(case) for case in summary.cases)
        if unknown or (summary.exit_code and not found and not seen):
            more = f" Not tested: {', '.join(sorted(unknown))}." if unknown else ""
            raise BudgetMissedError(f"{summary.word}: {summary.says}.{more}")

    def _told(self, summary: CiSummary, case: CiCase) -> str:
        lines = [
            f"{case.word}: {case.title}",
            f"{summary.name} for {summary.target}",
            *(case.details or (case.message,)),
            *([self.once.beside] if self.once.beside else []),
        ]
        return "\n".join(lines)

    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: "TracebackStyle | None" = None,
    ) -> "str | TerminalRepr":
        """The reason alone, where the bundle and not the plugin is at fault."""
        if isinstance(excinfo.value, BudgetMissedError | DeployoptError):
            return _safe_lines(str(excinfo.value))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it stands, and what the head of a failure says."""
        return self.path, None, f"{self.once.bundle.name}: {self.title}"


def _safe_lines(text: str) -> str:
    return "\n".join(safe_text(line) for line in text.splitlines())
