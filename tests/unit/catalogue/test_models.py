"""The catalogue is whole, read strictly, and small enough to be read at every start."""

import re
import time
import tomllib

import pytest

from deployopt.catalogue.data import find_data
from deployopt.catalogue.models import (
    DEMO,
    DEMO_CHAT,
    FILE,
    Entry,
    Quality,
    aliases,
    entries,
    find_entry,
    read_models,
)
from deployopt.core.errors import UsageError
from deployopt.core.tasks import ModelTask
from deployopt.sources.hub_names import parse_hub_name

ALIAS = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}
SMALLEST = """
[[models]]
alias = "a"
title = "A"
tasks = ["translation"]
tier = "light"
family = "f"
parameters = 10
size_bytes = 40
licence = "mit"
least_examples = 100
"""
each = pytest.mark.parametrize("entry", entries(), ids=lambda entry: str(entry.alias))


@each
def test_an_entry_is_whole(entry: Entry) -> None:
    assert find_entry(entry.alias.upper()) is entry
    assert ALIAS.fullmatch(entry.alias)
    assert entry.repository is None or parse_hub_name(f"hub:{entry.repository}")
    assert entry.data in (None, DEMO, DEMO_CHAT) or find_data(entry.data)
    assert (entry.accuracy is None) == (entry.accuracy_examples == 0)
    assert entry.title.strip() == entry.title != ""
    assert entry.licence
    assert entry.family
    assert 0 < entry.least_examples <= 10_000
    assert entry.config or entry.operations
    assert not entry.operations or entry.image_size


@each
def test_the_size_is_that_of_the_parameters(entry: Entry) -> None:
    kept = BYTES.get(str(entry.config.get("torch_dtype")))
    ratio = entry.size_bytes / entry.parameters
    # Beside the weights stand a header, batch norms' running values, a table of positions.
    kinds = [kept] if kept else list(BYTES.values())
    assert any(0.97 < ratio / kind < 1.05 for kind in kinds)


@each
def test_other_aliases_that_it_names_cost_less_and_do_the_same(entry: Entry) -> None:
    for name in (*entry.smaller, *entry.students):
        other = find_entry(name)
        assert other.parameters < entry.parameters
        assert set(other.tasks) & set(entry.tasks)
    assert len(set(entry.smaller)) == len(entry.smaller)
    assert len(set(entry.students)) == len(entry.students)


@each
def test_a_figure_has_a_source_and_a_task(entry: Entry) -> None:
    for found in entry.quality:
        assert found.metric
        assert found.data
        assert found.source
        assert 0 < found.value < 100


@each
def test_only_classifiers_and_language_models_with_weights_can_be_built(entry: Entry) -> None:
    kinds = {
        ModelTask.TEXT_CLASSIFICATION,
        ModelTask.IMAGE_CLASSIFICATION,
        ModelTask.TEXT_GENERATION,
    }
    here = entry.repository or entry.alias in {DEMO, DEMO_CHAT, "efficientnet-lite0"}
    assert not entry.buildable or (entry.tasks[0] in kinds and here)


@pytest.mark.parametrize("task", ModelTask)
def test_every_task_has_models_of_every_tier(task: ModelTask) -> None:
    found = entries(task)
    assert {entry.tier for entry in found} == {"light", "middle", "large"}
    assert all(task in entry.tasks for entry in found)
    assert any(entry.commercial for entry in found)
    light, large = (
        sorted(e.parameters for e in found if e.tier == tier and e.tasks[0] is task)
        for tier in ("light", "large")
    )
    assert light[0] < large[-1] if large else True


def test_no_name_is_given_twice() -> None:
    names = [name for entry in entries() for name in (entry.alias, *entry.variants)]
    assert len(set(names)) == len(names) == len(aliases())


def test_a_variant_has_the_shape_and_another_repository() -> None:
    base, variant = find_entry("qwen2.5-7b"), find_entry("Qwen2.5-7B-Instruct")
    assert (variant.alias, variant.config) == ("qwen2.5-7b-instruct", base.config)
    assert variant.repository == "Qwen/Qwen2.5-7B-Instruct" != base.repository
    assert not variant.quality  # the figures are the base model's
    assert variant not in entries()


def test_an_unknown_name_gets_the_nearest_ones_and_not_all() -> None:
    with pytest.raises(UsageError, match=r"Did you mean 'distilbert'\?") as raised:
        find_entry("distelbert")
    text = str(raised.value)
    assert sum(f" {name}," in text for name in aliases()) <= 12
    assert "docs/models.md" in text
    assert "hub:ORG/NAME" in text
    with pytest.raises(UsageError, match="no model 'zzzzzz'") as raised:
        find_entry("zzzzzz\x1b")
    assert "Did you mean" not in str(raised.value)


def test_a_figure_is_of_the_first_task_unless_it_says_otherwise() -> None:
    deberta = find_entry("deberta-v3-base")
    assert deberta.quality_of(ModelTask.TEXT_CLASSIFICATION) == deberta.quality[0]
    answers = deberta.quality_of(ModelTask.QUESTION_ANSWERING)
    assert answers is not None
    assert answers.metric == "F1"
    assert deberta.quality_of(ModelTask.TOKEN_CLASSIFICATION) is None


def test_error_rates_are_better_when_lower() -> None:
    (found,) = find_entry("whisper-tiny").quality
    assert found.lower_is_better
    assert not Quality(metric="F1", value=1.0, data="d", source="s").lower_is_better


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("licens = 1", "unknown key 'models[0].licens'; did you mean 'licence'?"),
        ("quality = [{ metric = 'F1', value = 1.0, data = 'd' }]", "models[0].quality[0].source"),
        ("operations = [{ kind = 'gemm', macs = 'x' }]", "models[0].operations[0].macs"),
        ("image_size = 'big'", "models[0].image_size"),
        ("buildable = 1", "models[0].buildable"),
        ("context = ", "Invalid value"),
    ],
)
def test_the_file_is_read_strictly(line: str, said: str) -> None:
    assert read_models(SMALLEST, where="m.toml")[0].alias == "a"
    with pytest.raises(UsageError) as raised:
        read_models(SMALLEST + line, where="m.toml")
    assert said.casefold() in str(raised.value).casefold()
    assert str(raised.value).startswith("m.toml: ")


def test_wrong_tasks_and_tiers_are_refused() -> None:
    for right, wrong in (("translation", "translating"), ('"light"', '"lite"')):
        with pytest.raises(UsageError, match=r"models\[0\]\.(tasks|tier)"):
            read_models(SMALLEST.replace(right, wrong), where="m.toml")


def test_reading_it_costs_little() -> None:
    text = FILE.read_text("utf-8")
    spent = []
    for _ in range(5):
        start = time.process_time_ns()
        tomllib.loads(text)
        spent.append(time.process_time_ns() - start)
    # 20 ms on a desktop's core; a slow machine's is three times that.
    assert min(spent) < 100e6
