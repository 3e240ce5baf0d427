"""A plan is built once for all that it depends on, kept by this store, and believed only then."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from deployopt.core.artifact import SessionOptions
from deployopt.core.engine import (
    ENGINE_FILE,
    TIMINGS_FILE,
    EngineListing,
    EngineOptions,
    InputRange,
)
from deployopt.core.errors import DeviceError, StepError
from deployopt.device.plans import PlanRecord, plan_for
from deployopt.device.setup import Setup
from deployopt.engines import building
from deployopt.engines.building import Built
from deployopt.store.locks import seize
from tests.fakes import models
from tests.fakes.plans import CARD

VERSION = "10.14.1"
PROFILE = (InputRange(name="x", least=(1, 16), usual=(1, 16), most=(4, 16)),)


class Builder:
    """It stands for the real one, which tests/unit/engines tries: who asked, and what."""

    def __init__(self) -> None:
        self.asked: list[EngineOptions] = []
        self.timings: list[bytes | None] = []
        self.version = VERSION

    def __call__(
        self, graph: Path, destination: Path, options: EngineOptions, **given: object
    ) -> Built:
        assert given["builder"] == "tensorrt"
        assert graph.is_file()
        if destination.parent.name == "engines":
            assert seize(destination.parent) is None  # a collector leaves it
        self.asked.append(options)
        timings = destination / TIMINGS_FILE
        self.timings.append(timings.read_bytes() if timings.exists() else None)
        timings.write_bytes(b"timings %d" % len(self.asked))
        (destination / ENGINE_FILE).write_bytes(b"plan %d" % len(self.asked))
        listing = EngineListing(
            builder="tensorrt", version=self.version, options=options, engine_bytes=6
        )
        return Built(listing=listing, seconds=1.0, peak_bytes=1)


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Builder:
    made = Builder()
    monkeypatch.setattr(building, "build_engine", made)
    return made


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    folder = tmp_path / "model"
    folder.mkdir()
    models.write_mlp(folder / "model.onnx", width=8)
    return Setup(
        artifact="d",
        model=folder / "model.onnx",
        session=SessionOptions(profile=PROFILE),
        threads=1,
        runtime="tensorrt",
        provider="tensorrt-plan",
        engines=tmp_path / "engines",
    )


def kept(setup: Setup) -> list[Path]:
    assert setup.engines is not None
    return sorted(setup.engines.glob("*.built"))


def test_it_is_built_once(setup: Setup, builder: Builder) -> None:
    first = plan_for(setup, VERSION, CARD)
    assert first.data == b"plan 1"
    assert plan_for(setup, VERSION, CARD) == first
    (options,) = builder.asked
    assert options == EngineOptions(
        compute_capability="8.6",
        platform=options.platform,
        profile=PROFILE,
        workspace_bytes=3 * 2**30,
    )
    assert not options.tf32


def test_tf32_is_on_where_the_bundle_says_so(setup: Setup, builder: Builder) -> None:
    session = msgspec.structs.replace(setup.session, tf32=True)
    plan_for(msgspec.structs.replace(setup, session=session), VERSION, CARD)
    assert [one.tf32 for one in builder.asked] == [True]
    assert setup.engines is not None
    left = {path.suffix for path in setup.engines.iterdir()}
    assert left == {".built", ".lock", ".key"}


def changed_graph(setup: Setup) -> None:
    models.write_mlp(setup.model, width=9)


def changed_weights(setup: Setup) -> None:
    (setup.model.parent / "other.data").write_bytes(b"weights that a graph may name")


@pytest.mark.parametrize("change", [changed_graph, changed_weights])
def test_another_graph_has_another_plan(
    setup: Setup, builder: Builder, change: Callable[[Setup], None]
) -> None:
    plan_for(setup, VERSION, CARD)
    change(setup)
    assert plan_for(setup, VERSION, CARD).data == b"plan 2"
    assert len(builder.asked) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"name": "NVIDIA Other Card"},
        {"compute_capability": "8.9"},
        {"memory_bytes": 24 * 2**30},
        {"cuda": 13010},
        {"driver": "590.1"},
    ],
)
def test_another_card_or_driver_has_another_plan(
    setup: Setup, builder: Builder, change: dict[str, object]
) -> None:
    plan_for(setup, VERSION, CARD)
    plan_for(setup, VERSION, msgspec.structs.replace(CARD, **change))
    assert len(builder.asked) == 2
    # Kernels that were timed on another card say nothing of this one.
    assert builder.timings == [None, None]


def test_another_version_has_another_plan(setup: Setup, builder: Builder) -> None:
    plan_for(setup, VERSION, CARD)
    builder.version = "10.15.0"
    plan_for(setup, "10.15.0", CARD)
    assert len(builder.asked) == 2


def test_other_shapes_have_another_plan_by_the_timings_of_the_first(
    setup: Setup, builder: Builder
) -> None:
    plan_for(setup, VERSION, CARD)
    free = msgspec.structs.replace(setup, session=SessionOptions())
    plan_for(free, VERSION, CARD)
    assert [one.profile for one in builder.asked] == [PROFILE, ()]
    assert builder.timings == [None, b"timings 1"]


def test_a_mutated_plan_is_never_opened(setup: Setup, builder: Builder) -> None:
    plan_for(setup, VERSION, CARD)
    for path in kept(setup):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(bytes(data))
    assert plan_for(setup, VERSION, CARD).data == b"plan 2"
    assert builder.timings == [None, None]


@pytest.mark.usefixtures("builder")
def test_a_plan_of_another_store_is_never_opened(setup: Setup, tmp_path: Path) -> None:
    other = msgspec.structs.replace(setup, engines=tmp_path / "other")
    plan_for(other, VERSION, CARD)
    plan_for(setup, VERSION, CARD)
    for theirs, ours in zip(kept(other), kept(setup), strict=True):
        assert theirs.name == ours.name
        ours.write_bytes(theirs.read_bytes())
    assert plan_for(setup, VERSION, CARD).data == b"plan 3"


def test_the_record_says_what_the_plan_is(setup: Setup, builder: Builder) -> None:
    plan_for(setup, VERSION, CARD)
    (path,) = (path for path in kept(setup) if path.name.endswith(".record.built"))
    record = msgspec.json.decode(path.read_bytes().partition(b"\n")[2], type=PlanRecord)
    assert record.sha256 == hashlib.sha256(b"plan 1").hexdigest()
    assert (record.key.version, record.key.card) == (VERSION, CARD)
    assert record.key.options == builder.asked[0]


@pytest.mark.usefixtures("builder")
def test_a_plan_and_the_record_of_another_build_are_no_pair(setup: Setup) -> None:
    first = plan_for(setup, VERSION, CARD)
    (record,) = (path for path in kept(setup) if path.name.endswith(".record.built"))
    old = record.read_bytes()
    (plan,) = {path for path in kept(setup) if path.stem in record.stem} - {record}
    plan.unlink()
    assert plan_for(setup, VERSION, CARD).data != first.data
    record.write_bytes(old)
    assert plan_for(setup, VERSION, CARD).data == b"plan 3"


@pytest.mark.usefixtures("builder")
def test_a_plan_beside_the_graph_is_no_plan(setup: Setup) -> None:
    (setup.model.parent / ENGINE_FILE).write_bytes(b"from a bundle")
    assert plan_for(setup, VERSION, CARD).data == b"plan 1"


@pytest.mark.usefixtures("builder")
def test_without_a_store_nothing_is_kept(setup: Setup) -> None:
    nowhere = msgspec.structs.replace(setup, engines=None)
    assert plan_for(nowhere, VERSION, CARD).data == b"plan 1"
    assert plan_for(nowhere, VERSION, CARD).data == b"plan 2"


@pytest.mark.parametrize("free", [400 * 2**20, None])
def test_too_little_memory_on_the_card_is_said_with_how_much(
    setup: Setup, builder: Builder, free: int | None
) -> None:
    whole = 12 * 2**30 if free else 400 * 2**20
    card = msgspec.structs.replace(CARD, memory_bytes=whole)
    words = r"about 512 MiB of the card's memory, and 400 MiB of .* are free on the NVIDIA Card"
    with pytest.raises(DeviceError, match=words):
        plan_for(setup, VERSION, card, free)
    assert builder.asked == []


def test_what_the_builder_refuses_is_the_devices_word(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Built:
        raise StepError("TensorRT does not take the graph: node 'n' (Odd)")

    monkeypatch.setattr(building, "build_engine", refuse)
    with pytest.raises(DeviceError, match="node 'n'"):
        plan_for(setup, VERSION, CARD)
    assert kept(setup) == []


def test_two_libraries_are_not_mixed(setup: Setup, builder: Builder) -> None:
    builder.version = "10.13.0"
    with pytest.raises(DeviceError, match=r"10\.13\.0 built the plan, and 10\.14\.1 was to open"):
        plan_for(setup, VERSION, CARD)
    assert kept(setup) == []
