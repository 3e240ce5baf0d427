"""Why a model will not do, with the number."""

from collections.abc import Callable

import msgspec

from deployopt.catalogue.models import Entry, find_entry
from deployopt.core.budget import parse_budget
from deployopt.core.standing import Standing
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.candidate import Candidate, Footing
from deployopt.planning.recommending.looking import look
from deployopt.planning.recommending.refusing import LATE, refusal_before, refusal_of
from deployopt.planning.recommending.wants import Wants

Ask = Callable[..., Wants]
Make = Callable[..., Entry]


def test_a_licence_that_forbids_or_says_nothing(wants: Ask, entry: Make) -> None:
    asked = wants(commercial=True)
    assert "forbids" in refusal_before(entry(commercial=False, licence="cc-by-nc-4.0"), asked)
    assert "not clear" in refusal_before(entry(commercial=None), asked)
    assert refusal_before(entry(), asked) == ""
    assert refusal_before(entry(commercial=None), wants()) == ""


def test_a_text_longer_than_it_reads(wants: Ask) -> None:
    assert look(find_entry("distilbert"), wants(length=600), None).refusal == (
        "it reads at most 512 tokens, and 600 are asked for"
    )
    assert look(find_entry("distilbert"), wants(length=512), None).refusal == ""


def test_an_answer_counts_where_it_is_appended(wants: Ask) -> None:
    asked = wants(ModelTask.TEXT_GENERATION, "a100x4", length=4_000)
    assert "4256 are asked for" in look(find_entry("llama-2-7b"), asked, None).refusal


def test_a_bare_model_needs_examples(wants: Ask, entry: Make) -> None:
    bare = entry(config={"architectures": ["BertModel"]})
    assert "give --examples (500 or more)" in refusal_before(bare, wants())
    assert refusal_before(bare, wants(examples=800)) == ""


def test_memory_says_the_least_and_the_usable(wants: Ask) -> None:
    found = look(find_entry("qwen2.5-72b"), wants(ModelTask.TEXT_GENERATION, "rtx3060"), None)
    assert found.at is None
    assert found.refusal.startswith("even int4 is predicted to need")
    assert "11.0 GiB are allowed on rtx3060" in found.refusal


def test_an_asked_memory_budget_is_a_limit_too(wants: Ask) -> None:
    asked = wants(budgets=(parse_budget("memory_peak", "100 MiB"),))
    assert "100 MiB are allowed" in look(find_entry("bert-base"), asked, None).refusal


def test_size_energy_and_time(
    wants: Ask, candidate: Callable[..., Candidate], stand: Callable[..., Footing]
) -> None:
    model = candidate("one", 90, 0.3)
    small = wants(budgets=(parse_budget("artifact_size", "10 MiB"),))
    assert "over the 10.0 MiB of artifact_size" in refusal_of(model, small)
    at = stand(0.3, gigabytes=0.001, within=Standing.OUTSIDE)
    model = msgspec.structs.replace(model, at=at)
    asked = wants(budgets=(parse_budget("latency_p95", "50 ms"),))
    assert refusal_of(model, asked) == (
        f"{LATE}150 ms a request at least, over the 50.0 ms asked for (latency_p95)"
    )
    assert refusal_of(model, wants()) == ""


def test_energy_is_held_against_its_budget(wants: Ask) -> None:
    asked = wants(ModelTask.TOKEN_CLASSIFICATION, budgets=(parse_budget("energy", "1 mJ"),))
    found = look(find_entry("bert-base-ner"), asked, None)
    assert "over the 1.00 mJ of energy" in found.refusal
    assert found.at is not None
    middle = found.at.predicted["energy_j"].value
    near = wants(ModelTask.TOKEN_CLASSIFICATION, budgets=(parse_budget("energy", f"{middle} J"),))
    assert look(find_entry("bert-base-ner"), near, None).refusal == ""


def test_reading_speed(wants: Ask) -> None:
    asked = wants(ModelTask.TEXT_GENERATION, "rpi4-8gb", realtime=True)
    slow = look(find_entry("qwen2.5-7b"), asked, None)
    assert slow.refusal.startswith(LATE)
    assert "tokens/s that a person reads" in slow.refusal
