"""What surely misses a budget is not timed; whatever may still be accepted is."""

import msgspec

from deployopt.core.budget import Budget, parse_budget
from deployopt.core.evidence import Evidence
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.choosing import choose
from deployopt.pipeline.language.leaving import leave_out
from tests.fakes.candidates import candidate
from tests.fakes.language import scored_trial
from tests.fakes.results import estimate

NLL = (parse_budget("nll_increase", "2 %"),)
MEMORY = (parse_budget("memory_peak", "100 MiB"),)
MIB = 2**20


def form(name: str, increase: float = 0.001, full_mib: int = 50, **fields: object) -> Candidate:
    scores = msgspec.structs.replace(scored_trial(increase), full_context_rss_bytes=full_mib * MIB)
    bare = msgspec.structs.replace(candidate(name, 0.01), accuracy=None, scores=scores)
    return msgspec.structs.replace(bare, **fields)


def left(
    *candidates: Candidate, budgets: tuple[Budget, ...] = NLL, on: Evidence = Evidence.TARGET
) -> list[str]:
    return [c.recipe.name for c in leave_out(candidates, budgets, on) if c.untimed is not None]


def test_a_likelihood_that_surely_misses() -> None:
    forms = (form("float", 0.5), form("int8"), form("int4", 0.11), form("near", 0.0201))
    assert left(*forms) == ["int4"]
    found = {c.recipe.name: c.untimed for c in leave_out(forms, NLL, Evidence.TARGET)}
    assert (found["int4"] or "").startswith("nll increase is ")
    assert (found["int4"] or "").endswith("at best, against 2.00 %")


def test_the_choice_says_that_it_was_not_timed_and_does_not_take_it() -> None:
    forms = leave_out((form("float"), form("int8"), form("int4", 0.11)), NLL, Evidence.TARGET)
    chosen = choose(forms, NLL)
    assert "int4" not in [c.recipe.name for c in chosen.finalists]
    assert chosen.reasons["int4"].startswith("not timed: nll increase is ")


def test_where_all_others_miss_everything_is_timed() -> None:
    assert left(form("float"), form("int8", 0.3), form("int4", 0.11)) == []
    failed = form("int8", failure="no kernel")
    assert left(form("float"), failed, form("int4", 0.11)) == []


def test_on_the_target_a_full_context_tells_of_memory_and_elsewhere_the_prediction() -> None:
    wide = {"memory_peak": msgspec.structs.replace(estimate(200 * MIB), lower=110.0 * MIB)}
    forms = (form("float"), form("int8"), form("int4", full_mib=120, predictions={}))
    assert left(*forms, budgets=MEMORY) == ["int4"]
    assert left(*forms, budgets=MEMORY, on=Evidence.PROXY) == []
    foreseen = (form("float"), form("int8"), form("int4", predictions=wide))
    assert left(*foreseen, budgets=MEMORY) == []
    assert left(*foreseen, budgets=MEMORY, on=Evidence.PROXY) == ["int4"]
    # Processes that do the same differ a little: so near the budget only rounds can tell.
    near = (form("float"), form("int8"), form("int4", full_mib=104))
    assert left(*near, budgets=MEMORY) == []
    maybe = {"memory_peak": msgspec.structs.replace(estimate(200 * MIB), lower=90.0 * MIB)}
    unsure = (form("float"), form("int8"), form("int4", predictions=maybe))
    assert left(*unsure, budgets=MEMORY, on=Evidence.PROXY) == []
