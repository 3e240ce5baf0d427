"""The catalogue's configs and operators say the same as its parameters."""

import tomllib

import pytest

from deployopt.catalogue.models import Entry, entries
from deployopt.core.tasks import ModelTask
from deployopt.planning.architectures import read_architecture
from deployopt.planning.entries import architecture_of
from tools import count_diffusion, count_yolo

WITH_CONFIG = [entry for entry in entries() if entry.config]
NETS = [entry for entry in entries() if entry.operations and not entry.config]
# Embedding tables, batch norms' running values and position tables are not among the operators.
ONCE = [entry for entry in NETS if ModelTask.TEXT_TO_IMAGE not in entry.tasks]
GENERATED = {
    ModelTask.TRANSLATION,
    ModelTask.SUMMARIZATION,
    ModelTask.TEXT_GENERATION,
    ModelTask.SPEECH_RECOGNITION,
}


def alias_of(entry: Entry) -> str:
    return entry.alias


@pytest.mark.parametrize("entry", WITH_CONFIG, ids=alias_of)
def test_the_config_gives_the_parameters(entry: Entry) -> None:
    found = read_architecture(entry.config)
    assert found.parameters == pytest.approx(entry.parameters, rel=0.005)
    assert found.stacks


@pytest.mark.parametrize("entry", ONCE, ids=alias_of)
def test_the_operators_read_the_parameters(entry: Entry) -> None:
    read = sum(one.weights * one.count for one in entry.operations)
    largest = entry.parameters
    # A detector's learned positions and a head that is run more than once make the difference.
    assert 0.70 < read / largest < 1.10


@pytest.mark.parametrize("entry", NETS, ids=alias_of)
def test_the_operators_are_of_the_usual_size(entry: Entry) -> None:
    macs = sum(one.macs * one.count for one in entry.operations)
    kinds = [one.kind for one in entry.operations]
    assert len(set(kinds)) == len(kinds)
    assert entry.activations > 0
    # From MobileNet's 0.3 G to thirty steps of SDXL.
    assert 0.2e9 < macs < 300e12


@pytest.mark.parametrize("entry", entries(), ids=alias_of)
def test_every_entry_has_an_architecture(entry: Entry) -> None:
    found = architecture_of(entry)
    assert found.parameters == entry.parameters
    assert found.stacks or found.operations
    assert found.generates == (entry.tasks[0] in GENERATED)


@pytest.mark.parametrize("alias", [*count_yolo.YOLOS, *count_diffusion.PIPELINES])
def test_counted_layers_are_those_of_the_file(alias: str) -> None:
    if alias in count_yolo.YOLOS:
        text = count_yolo.lines(alias)
    else:
        text = count_diffusion.lines(alias, count_diffusion.PIPELINES[alias])
    counted = tomllib.loads(text)
    (entry,) = (entry for entry in entries() if entry.alias == alias)
    assert counted["parameters"] == entry.parameters
    assert counted["activations"] == entry.activations
    kept = [
        {name: getattr(one, name) for name in one.__struct_fields__} for one in entry.operations
    ]
    assert counted["operations"] == kept


@pytest.mark.torch
@pytest.mark.slow
def test_an_exported_net_is_counted_as_the_file_says() -> None:
    pytest.importorskip("transformers")
    from tools import count_operators

    counted = tomllib.loads(count_operators.toml("resnet-18", count_operators.NETS["resnet-18"]))
    (entry,) = (entry for entry in entries() if entry.alias == "resnet-18")
    assert counted["parameters"] == entry.parameters
    for one, kept in zip(counted["operations"], entry.operations, strict=True):
        assert one["kind"] == kept.kind
        assert one["macs"] * one["count"] == pytest.approx(kept.macs * kept.count, rel=0.01)
