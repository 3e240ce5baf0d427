"""What every part of one search works with."""

import msgspec

from deployopt.core.search import Effort
from deployopt.core.watching import Watcher
from deployopt.pipeline.preparing import Prepared
from deployopt.pipeline.searching.journal import Journal
from deployopt.pipeline.searching.time_budget import TimeBudget


class SearchRun(msgspec.Struct, frozen=True, kw_only=True):
    """A prepared build that is searched with an effort, its log, its time, and who watches."""

    prepared: Prepared
    effort: Effort
    journal: Journal
    budget: TimeBudget
    watcher: Watcher
