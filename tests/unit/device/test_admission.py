"""May a bundle be measured there."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from deployopt.core.card import CardNote
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.measurement import Machine
from deployopt.core.target import Target
from deployopt.device.admission import (
    genai_warnings,
    openvino_warnings,
    require_target,
    runtime_warnings,
)
from deployopt.device.bundle_measuring import Bench
from deployopt.device.bundle_reader import OpenBundle, open_bundle
from deployopt.device.device import ThisMachine
from deployopt.planning.targets import load_target
from tests.fakes.devices import MadeUpDevice, idle
from tests.fakes.drawing_graphs import DRAWS


@pytest.fixture
def opened(make_bundle: Callable[..., Path]) -> OpenBundle:
    return open_bundle(make_bundle())


def test_what_differs_and_what_to_do_is_said(opened: OpenBundle) -> None:
    device = MadeUpDevice(idle)
    require_target(opened, device, None, "verify BUNDLE")
    with pytest.raises(UsageError) as refused:
        require_target(opened, device, "the machine is of wood", "verify BUNDLE")
    told = str(refused.value)
    assert told.startswith("A made-up device is not the target")
    for part in ("This machine: the machine is of wood", "Nothing was measured", "--proxy"):
        assert part in told
    assert "`deployopt verify BUNDLE` on the target" in told
    assert "--device ssh://USER@HOST" in told


def test_a_language_model_for_a_card_is_opened_on_it_only(opened: OpenBundle) -> None:
    manifest = msgspec.structs.replace(opened.manifest, runtime="onnxruntime-genai")
    here = msgspec.structs.replace(opened, manifest=manifest)
    assert not here.needs_card
    card = msgspec.structs.replace(here, target=load_target("rtx3060"))
    assert card.needs_card
    require_target(card, ThisMachine(), None, "verify BUNDLE")
    with pytest.raises(UsageError, match=r"Its language model was built without the card and has"):
        require_target(card, ThisMachine(), "there is no card", "verify BUNDLE")
    with pytest.raises(UsageError, match=r"holds a language model for .* not sent to a device"):
        require_target(card, MadeUpDevice(idle), None, "verify BUNDLE")


def test_a_runtime_outside_of_the_range(
    opened: OpenBundle, machine: Machine, target: Target
) -> None:
    narrow = msgspec.structs.replace(
        opened,
        target=msgspec.structs.replace(
            target, runtime=msgspec.structs.replace(target.runtime, versions=">=1.20.1,<1.21")
        ),
    )
    assert runtime_warnings(opened, machine, None) == ()
    assert "outside of the target's range" in runtime_warnings(narrow, machine, "another board")[0]
    with pytest.raises(DeviceError, match="pip install"):
        runtime_warnings(narrow, machine, None)
    odd = msgspec.structs.replace(machine, packages={"onnxruntime": "nightly"})
    assert "cannot be compared" in runtime_warnings(opened, odd, None)[0]


def test_an_openvino_that_was_not_tried_is_said(machine: Machine) -> None:
    newer = msgspec.structs.replace(machine, packages={"openvino": "2031.1.0"})
    assert openvino_warnings(newer)[0].startswith("openvino 2031.1.0 is outside")
    older = msgspec.structs.replace(machine, packages={"openvino": "2026.4.1"})
    assert openvino_warnings(older) == ()
    with pytest.raises(DeviceError, match="pip install"):
        openvino_warnings(machine)


def test_a_runtime_of_language_models_that_was_not_tried_is_said(
    opened: OpenBundle, machine: Machine
) -> None:
    newer = msgspec.structs.replace(
        machine, packages={**machine.packages, "onnxruntime-genai": "0.99.0"}
    )
    assert genai_warnings(newer)[0].startswith("onnxruntime-genai 0.99.0 is outside")
    packages = {**machine.packages, "onnxruntime-genai-cuda": "0.18.1"}
    assert genai_warnings(msgspec.structs.replace(machine, packages=packages)) == ()
    manifest = msgspec.structs.replace(opened.manifest, runtime="onnxruntime-genai")
    bundle = msgspec.structs.replace(opened, manifest=manifest)
    assert len(runtime_warnings(bundle, newer, None)) == 1
    odd = msgspec.structs.replace(newer, packages={**newer.packages, "onnxruntime": "nightly"})
    assert len(runtime_warnings(bundle, odd, None)) == 2
    with pytest.raises(DeviceError, match=r"pip install 'deployopt\[chat\]'"):
        runtime_warnings(bundle, machine, None)


def test_an_engine_has_no_stand_in_and_does_not_travel(opened: OpenBundle) -> None:
    manifest = msgspec.structs.replace(opened.manifest, runtime="tensorrt-rtx")
    engine = msgspec.structs.replace(opened, manifest=manifest)
    here = ThisMachine()
    require_target(engine, here, None, "verify BUNDLE")
    with pytest.raises(UsageError, match="has not run yet; it is opened on that card") as refused:
        require_target(engine, here, "the machine has no card", "verify BUNDLE")
    assert "--proxy" not in str(refused.value)
    with pytest.raises(UsageError, match="not sent to a device"):
        require_target(engine, MadeUpDevice(idle), None, "verify BUNDLE")


@pytest.mark.parametrize(
    ("ran", "words"),
    [
        (False, "Its graph was built without the card and has not run yet; it is opened on that"),
        (True, "Its graph has run on the card where it was built; it is opened on that card only"),
    ],
)
def test_a_graph_for_a_card_says_whether_it_has_run(
    opened: OpenBundle, words: str, *, ran: bool
) -> None:
    note = CardNote(
        provider="cuda", compute_capability="9.0", runtime="onnxruntime-gpu", version="1", ran=ran
    )
    bundle = msgspec.structs.replace(
        opened,
        manifest=msgspec.structs.replace(opened.manifest, card=note),
        target=load_target("h100"),
    )
    assert bundle.needs_card
    with pytest.raises(UsageError, match=words) as refused:
        require_target(bundle, ThisMachine(), "the machine has no card", "verify BUNDLE")
    assert "nothing can stand in for it" in str(refused.value)
    with pytest.raises(UsageError, match=r"holds a graph for .* not sent to a device"):
        require_target(bundle, MadeUpDevice(idle), None, "verify BUNDLE")


def test_graphs_that_draw_may_be_asked_on_a_cpu_in_a_cards_place(
    opened: OpenBundle, machine: Machine, tmp_path: Path
) -> None:
    draws = msgspec.structs.replace(
        opened, manifest=msgspec.structs.replace(opened.manifest, interface=DRAWS)
    )
    card = msgspec.structs.replace(draws, target=load_target("h100"))
    assert (draws.has_stand_in, card.needs_card, card.has_stand_in) == (False, True, True)
    classifies = msgspec.structs.replace(opened, target=load_target("h100"))
    assert not classifies.has_stand_in
    with pytest.raises(UsageError, match=r"opened on that card only\. Copy .*or add --proxy"):
        require_target(card, ThisMachine(), "there is no card", "verify BUNDLE")
    with pytest.raises(UsageError, match="nothing can stand in for it"):
        require_target(card, ThisMachine(), "there is no card", "compare OLD NEW")
    device = MadeUpDevice(idle, machine)
    apart = Bench(bundle=card, device=device, mismatch="there is no card", workdir=tmp_path)
    assert (apart.stands_in, apart.setup.provider) == (True, "cpu")
    there = msgspec.structs.replace(apart, mismatch=None)
    assert (there.stands_in, there.setup.provider) == (False, "cuda")
    plain = msgspec.structs.replace(apart, bundle=draws)
    assert (plain.stands_in, plain.setup.provider) == (False, "cpu")


def test_a_plan_is_built_by_whatever_version_is_there(opened: OpenBundle, machine: Machine) -> None:
    manifest = msgspec.structs.replace(opened.manifest, runtime="tensorrt")
    bundle = msgspec.structs.replace(opened, manifest=manifest, target=load_target("h100"))
    old = msgspec.structs.replace(machine, packages={"onnxruntime": "1.2.0"})
    assert runtime_warnings(bundle, old, None) == ()
    with pytest.raises(UsageError, match="Its graph was built without the card"):
        require_target(bundle, ThisMachine(), "the machine has no card", "verify BUNDLE")


def test_on_a_card_the_runtime_to_install_is_the_one_for_cards(
    opened: OpenBundle, machine: Machine
) -> None:
    bundle = msgspec.structs.replace(opened, target=load_target("h100"))
    old = msgspec.structs.replace(machine, packages={"onnxruntime-gpu": "1.2.0"})
    with pytest.raises(DeviceError, match=r"pip install 'onnxruntime-gpu>=1\.20\.1,<2'"):
        runtime_warnings(bundle, old, None)
