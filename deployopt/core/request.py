"""What is asked of a build, read and complete: what the API hands to the pipeline."""

from pathlib import Path

import msgspec

from deployopt.core.budget import Budget, merge_budgets
from deployopt.core.target import Target


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`budgets` replace the target's of the same name; None stands for the default."""

    model: str
    target: Target
    budgets: tuple[Budget, ...] = ()
    data: str | None = None
    columns: dict[str, str] = {}
    output: Path | None = None
    accept_predicted: bool = False
    store: Path | None = None
    seed: int = 0
    lock: Path | None = None

    @property
    def limits(self) -> tuple[Budget, ...]:
        """The target's budgets with the asked ones in their place."""
        return merge_budgets(self.target.limits, self.budgets)
