"""What answers are kept under: all that decides them, and nothing that does not."""

import msgspec
import pytest

from deployopt.core.artifact import Format
from deployopt.core.measurement import Machine, Split
from deployopt.pipeline import answering
from deployopt.pipeline.answering import candidate_setup
from deployopt.pipeline.preparing import Prepared
from deployopt.planning.targets import load_target
from tests.fakes.candidates import source
from tests.fakes.devices import MadeUpDevice, idle
from tests.fakes.results import MACHINE
from tests.fakes.searching import prepared_build

H100 = load_target("h100")
GRAPH = source(form=Format.ONNX).artifact


def on_card(*, version: str = "1.31.1", card: str = H100.match.gpu or "") -> Prepared:
    """A build on a machine with a card, and with ONNX Runtime's package for cards alone."""
    machine = msgspec.structs.replace(
        MACHINE,
        arch="x86_64",
        gpus=(card,),
        packages={"onnxruntime-gpu": version},
        providers=("CUDAExecutionProvider", "CPUExecutionProvider"),
    )
    return on(machine)


def on(machine: Machine) -> Prepared:
    build = prepared_build()
    request = msgspec.structs.replace(build.request, target=H100)
    return msgspec.structs.replace(build, request=request, device=MadeUpDevice(idle, machine))


def key(prepared: Prepared) -> str:
    return answering._candidate_key(prepared, GRAPH, Split.GATE)


def test_answers_are_of_a_card_and_of_a_version_of_its_runtime() -> None:
    first = on_card()
    assert candidate_setup(first, GRAPH).provider == "cuda"
    assert key(first) == key(on_card())
    assert key(first) != key(on_card(version="1.32.0"))


def test_another_card_that_will_do_gives_its_own_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "built_apart", lambda *_: False)
    assert key(on_card()) != key(on_card(card="NVIDIA H200"))


def test_in_the_place_of_a_card_the_runtime_for_cards_is_asked_too() -> None:
    here = msgspec.structs.replace(MACHINE, packages={"onnxruntime-gpu": "1.31.1"})
    later = msgspec.structs.replace(MACHINE, packages={"onnxruntime-gpu": "1.32.0"})
    assert candidate_setup(on(here), GRAPH).provider == "cpu"
    assert key(on(here)) != key(on(later))


def test_a_plan_is_asked_on_its_card_and_its_graph_in_the_cards_place() -> None:
    runtime = msgspec.structs.replace(H100.runtime, provider="tensorrt-plan")
    target = msgspec.structs.replace(H100, runtime=runtime)

    def planned(prepared: Prepared) -> Prepared:
        request = msgspec.structs.replace(prepared.request, target=target)
        return msgspec.structs.replace(prepared, request=request)

    apart = candidate_setup(planned(on_card()), GRAPH)
    assert (apart.provider, apart.runtime) == ("cpu", "onnxruntime")
    made = on_card().machine
    found = [
        planned(on(msgspec.structs.replace(made, packages={"tensorrt-cu13": version})))
        for version in ("10.14.1", "10.15.0")
    ]
    there = candidate_setup(found[0], GRAPH)
    assert (there.provider, there.runtime) == ("tensorrt-plan", "tensorrt")
    assert key(found[0]) != key(found[1])
