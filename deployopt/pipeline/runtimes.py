"""Which runtime builds for a target: what a CPU's allows, or an NVIDIA card's engine or graph.

In: a request. Out: the request with the target as that runtime sees it, and what is made for it.
Refuses a runtime that is not the target's, a card that the builder of engines does not know, and a
builder that is not installed; says what is possible instead. Light: `plan` asks it too.
"""

from typing import Final

import msgspec

from deployopt.core.artifact import Artifact
from deployopt.core.card import CARD_PROVIDERS, CUDA, PLAN, TENSORRT, tensorrt_version
from deployopt.core.engine import RTX_CAPABILITIES, InputRange, sm_of
from deployopt.core.errors import UsageError
from deployopt.core.explain import nearest_word
from deployopt.core.measurement import Machine
from deployopt.core.request import BuildRequest
from deployopt.core.search import Effort
from deployopt.core.target import Target
from deployopt.device.machine import describe_machine, matches
from deployopt.pipeline.card_forms import CardForm
from deployopt.pipeline.card_graphs import GraphPlace, graph_steps
from deployopt.pipeline.engines import RTX, EnginePlace, engine_place, engine_steps
from deployopt.steps.bfloat16 import ConvertBfloat16
from deployopt.steps.drawing_half import HalvePipeline
from deployopt.steps.engine import BuildEngine, builder_installed, need_builder
from deployopt.steps.float8 import QuantizeFloat8
from deployopt.steps.for_card import OpenOnCard, OpenPipelineOnCard
from deployopt.steps.half import ConvertHalf
from deployopt.steps.symmetric import QuantizeSymmetric
from deployopt.steps.tf32 import AllowTf32

ON_CUDA: Final = "onnxruntime"
ON_TENSORRT: Final = "onnxruntime-tensorrt"
ON_PLAN: Final = "tensorrt"
_PROVIDERS: Final = {RTX: RTX, ON_CUDA: CUDA, ON_TENSORRT: TENSORRT, ON_PLAN: PLAN}
"""Of a GPU target: the runtime that is asked for, and the provider that opens what is built."""
_SPEAKS: Final = "onnxruntime-genai"
_RUNTIMES: Final = (ON_CUDA, "openvino", _SPEAKS, RTX, ON_TENSORRT, ON_PLAN)
_ANY_CARD: Final = (
    f"Leave --runtime out, or give --runtime {ON_CUDA}: then a graph is built for ONNX Runtime on "
    "CUDA, which any card of the kind opens."
)
CARD_STEPS: Final = frozenset(
    {
        AllowTf32.name,
        BuildEngine.name,
        ConvertBfloat16.name,
        ConvertHalf.name,
        HalvePipeline.name,
        OpenOnCard.name,
        OpenPipelineOnCard.name,
        QuantizeFloat8.name,
        QuantizeSymmetric.name,
    }
)
"""Those behind the plain float graph."""
Place = EnginePlace | GraphPlace


def with_runtime(request: BuildRequest) -> BuildRequest:
    """The request with the target as the chosen runtime sees it, ready to be built.

    Raises:
        UsageError: the runtime is none, or is not the target's, or does not know the card; or
            something was asked that nothing for a card allows yet.
        MissingExtraError: it is not installed.
    """
    seen = with_provider(request)
    provider = seen.target.runtime.provider
    if provider != "cpu":
        if provider == RTX:
            need_builder()
        _require_plain(seen)
    return seen


def with_provider(request: BuildRequest) -> BuildRequest:
    """The request with the target as the chosen runtime sees it, installed or not.

    A GPU target is given to TensorRT for RTX where that knows its card, else to ONNX Runtime on
    CUDA; of a CPU target other runtimes than the one that was asked for are left out, but ONNX
    Runtime, whose float graph the others have to beat.

    Raises:
        UsageError: the runtime is none, or is not the target's, or does not know the card.
    """
    target, asked = request.target, request.runtime
    if asked is not None and asked not in _RUNTIMES:
        raise UsageError(_unknown(asked))
    if asked == _SPEAKS:
        raise UsageError(
            f"--runtime {_SPEAKS} opens language models, and the model is none that is built as "
            "one. Leave it out."
        )
    if target.runtime.provider == "cpu":
        return _on_cpu(request, asked)
    provider = _usual(target) if asked is None else _PROVIDERS.get(asked)
    if provider is None:
        raise UsageError(
            f"Target {target.name} runs on a GPU, and --runtime {asked} builds for CPUs only. "
            f"Leave it out, or give one of {', '.join(_PROVIDERS)}."
        )
    if provider == RTX and not _known(target):
        raise UsageError(_no_engine(target))
    runtime = msgspec.structs.replace(target.runtime, provider=provider)
    return msgspec.structs.replace(request, target=msgspec.structs.replace(target, runtime=runtime))


def place_of(target: Target, profile: tuple[InputRange, ...] = ()) -> Place | None:
    """What is built for the target's card, of requests of these shapes; None for a CPU target."""
    provider = target.runtime.provider
    if provider == RTX:
        return engine_place(target, profile)
    if provider == "cpu":
        return None
    return GraphPlace(
        provider=provider, compute_capability=target.compute_capability, profile=profile
    )


def card_steps(place: Place, source: Artifact, *, convolutional: bool) -> tuple[CardForm, ...]:
    """The forms for a card."""
    if isinstance(place, GraphPlace):
        return graph_steps(place, source, convolutional=convolutional)
    return engine_steps(place, source, convolutional=convolutional)


def built_apart(target: Target, machine: Machine) -> bool:
    """Whether what is built is not run where it is built: an engine, or no such card there.

    A graph is opened by the machine that is the target and has its provider, or TensorRT.
    """
    provider = target.runtime.provider
    if provider == PLAN:
        opens = tensorrt_version(machine.packages) is not None
    elif provider in CARD_PROVIDERS:
        opens = CARD_PROVIDERS[provider] in machine.providers
    else:
        return provider != "cpu"
    return not opens or matches(target, machine) is not None


def not_built(target: Target) -> str | None:
    """Why `build` would not start for a GPU target on this machine, in a sentence, or None."""
    if target.runtime.provider != RTX or builder_installed():
        return None
    return (
        f"`build` for {target.name} needs TensorRT for RTX, which is not installed here. "
        f"Install it with: pip install 'deployopt[{RTX}]'. A graph for ONNX Runtime on CUDA needs "
        f"none: --runtime {ON_CUDA}"
    )


def _usual(target: Target) -> str:
    """Of a GPU target: an engine where one can be built, unless its file says otherwise."""
    provider = target.runtime.provider
    return RTX if provider == CUDA and _known(target) else provider


def _on_cpu(request: BuildRequest, asked: str | None) -> BuildRequest:
    target = request.target
    if asked in {RTX, ON_TENSORRT, ON_PLAN}:
        raise UsageError(
            f"--runtime {asked} builds for NVIDIA cards, and target {target.name} runs on a CPU. "
            f"Leave it out, or name a GPU target; `deployopt targets` lists them."
        )
    if asked == "openvino" and asked not in target.runtime.runtimes:
        raise UsageError(
            f"--runtime {asked} is not one that target {target.name} allows "
            f"({', '.join(target.runtime.runtimes)}). Leave it out, or add it to runtime.runtimes "
            "of your own target file."
        )
    if asked != "onnxruntime":
        return request
    runtime = msgspec.structs.replace(target.runtime, runtimes=("onnxruntime",))
    return msgspec.structs.replace(request, target=msgspec.structs.replace(target, runtime=runtime))


def _unknown(asked: str) -> str:
    near = nearest_word(asked, _RUNTIMES)
    meant = "" if near is None else f" Did you mean {near}?"
    return f"There is no runtime {asked!r}. There are {', '.join(_RUNTIMES)}.{meant}"


def _known(target: Target) -> bool:
    gpu = target.hardware.gpu
    return gpu is not None and gpu.compute_capability in RTX_CAPABILITIES


def _no_engine(target: Target) -> str:
    gpu = target.hardware.gpu
    capability = "" if gpu is None else gpu.compute_capability
    known = ", ".join(sm_of(one) for one in RTX_CAPABILITIES)
    return (
        f"Target {target.name} has compute capability {capability} ({sm_of(capability)}), for "
        f"which TensorRT for RTX builds no engine; it knows {known}. {_ANY_CARD}"
    )


def _require_plain(request: BuildRequest) -> None:
    """Refuse a search, and a baseline where a build does not run what it makes."""
    searching = list(request.search_options)
    if request.effort not in {None, Effort.QUICK}:
        searching.append("--effort")
    if searching:
        raise UsageError(
            f"{' and '.join(searching)} cannot be asked of a GPU target yet: smaller shapes are "
            "searched for on CPUs only. Leave it out; `deployopt finetune` and `deployopt distill` "
            "train a model before it is built."
        )
    if request.baseline is not None and built_apart(request.target, describe_machine()):
        raise UsageError(
            "--baseline cannot be asked here: both would be timed against each other, and what is "
            f"built for {request.target.name} is not run by this build. Leave it out, and run "
            "`deployopt compare OLD NEW` on the card's machine. A graph that is built there "
            f"(--runtime {ON_CUDA}, {ON_TENSORRT} or {ON_PLAN}) takes a baseline."
        )
