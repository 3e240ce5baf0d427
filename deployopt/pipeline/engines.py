"""Targets with a GPU: which builder makes what runs there, on a machine without the card.

In: a request. Out: the forms of an engine, or None for a CPU target. Refuses a runtime that is not
the target's, a card that the builder does not know, and a builder that is not installed; says what
is possible instead. Light: `plan` asks it too.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from deployopt.core.artifact import Artifact, Precision
from deployopt.core.engine import RTX_CAPABILITIES, InputRange, sm_of
from deployopt.core.errors import UsageError
from deployopt.core.explain import nearest_word
from deployopt.core.interface import ImageInputs, Interface, TextInputs
from deployopt.core.recipe import Step
from deployopt.core.request import BuildRequest
from deployopt.core.search import Effort
from deployopt.core.target import Target
from deployopt.core.workload import Workload
from deployopt.planning.usable import usable_bytes
from deployopt.steps.engine import BuildEngine, builder_installed, need_builder
from deployopt.steps.half import ConvertHalf
from deployopt.steps.symmetric import QuantizeSymmetric

if TYPE_CHECKING:  # the name of a type should not cost a person numpy's import
    from deployopt.core.samples import Feed

RTX: Final = "tensorrt-rtx"
_WORKSPACE_SHARE: Final = 0.25
"""Of the card's memory that one process may use: the most that a layer gets to work in."""
_WORKSPACE_MAX: Final = 2**33
_RUNTIMES: Final = ("onnxruntime", "openvino", "onnxruntime-genai", RTX)
_INSTEAD: Final = (
    "What is possible: `deployopt plan` and `deployopt fit` work for it as for any target; and the "
    "model's plain ONNX graph can be given to TensorRT itself on the card's own machine."
)
HALF: Final = "fp16"
ENGINE_STEPS: Final = frozenset({QuantizeSymmetric.name, ConvertHalf.name, BuildEngine.name})
"""Those behind the plain float graph."""


class EnginePlace(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is built for: the card, the host beside it, and the shapes of requests."""

    compute_capability: str
    platform: str
    workspace_bytes: int
    profile: tuple[InputRange, ...] = ()

    @property
    def step(self) -> BuildEngine:
        """The last step of every form."""
        return BuildEngine(
            compute_capability=self.compute_capability,
            platform=self.platform,
            profile=self.profile,
            workspace_bytes=self.workspace_bytes,
        )


def with_runtime(request: BuildRequest) -> BuildRequest:
    """The request with the target as the chosen runtime sees it, ready to be built.

    Raises:
        UsageError: the runtime is none, or is not the target's, or does not know the card; or
            something was asked that no engine allows yet.
        MissingExtraError: it is not installed.
    """
    seen = with_provider(request)
    if request.target.runtime.provider != "cpu":
        _require_known(request.target)
        need_builder()
        _require_plain(request)
    return seen


def with_provider(request: BuildRequest) -> BuildRequest:
    """The request with the target as the chosen runtime sees it, installed or not.

    A GPU target is given to TensorRT for RTX where that knows its card; of a CPU target other
    runtimes than the one that was asked for are left out, but ONNX Runtime, whose float graph the
    others have to beat.

    Raises:
        UsageError: the runtime is none, or is not the target's.
    """
    target, asked = request.target, request.runtime
    if asked is not None and asked not in _RUNTIMES:
        raise UsageError(_unknown(asked))
    if target.runtime.provider == "cpu":
        return _on_cpu(request, asked)
    if asked not in {None, RTX}:
        raise UsageError(
            f"Target {target.name} runs on a GPU, and --runtime {asked} builds for CPUs only. "
            f"Leave it out, or give --runtime {RTX}."
        )
    if not buildable(target):
        return request
    runtime = msgspec.structs.replace(target.runtime, provider=RTX)
    return msgspec.structs.replace(request, target=msgspec.structs.replace(target, runtime=runtime))


def place_of(target: Target, profile: tuple[InputRange, ...] = ()) -> EnginePlace | None:
    """What an engine for the target's card is built for; None for a CPU target."""
    gpu = target.hardware.gpu
    if target.runtime.provider == "cpu" or gpu is None:
        return None
    share = int(_WORKSPACE_SHARE * usable_bytes(target))
    return EnginePlace(
        compute_capability=gpu.compute_capability,
        platform=target.hardware.arch,
        workspace_bytes=min(share, _WORKSPACE_MAX),
        profile=profile,
    )


def buildable(target: Target) -> bool:
    """Whether `build` would make something for it: a CPU, or a card that the builder knows."""
    gpu = target.hardware.gpu
    return target.runtime.provider == "cpu" or (gpu is not None and _known(gpu.compute_capability))


def not_built(target: Target) -> str | None:
    """Why `build` would not start for a GPU target on this machine, in a sentence, or None."""
    if not buildable(target):
        return _no_engine(target)
    if target.runtime.provider != "cpu" and not builder_installed():
        return (
            f"`build` for {target.name} needs TensorRT for RTX, which is not installed here. "
            f"Install it with: pip install 'deployopt[{RTX}]'"
        )
    return None


def engine_steps(
    place: EnginePlace, source: Artifact, *, convolutional: bool
) -> tuple[tuple[str, tuple[Step, ...], str], ...]:
    """Name, steps behind the plain float graph, and reason of each form of an engine."""
    sm = sm_of(place.compute_capability)
    whole = (
        "float",
        (place.step,),
        f"an engine for {sm} in fp32, TF32 off; others have to beat it",
    )
    if source.precision in {Precision.INT8, Precision.MIXED}:
        return (whole,)
    half = ConvertHalf()
    # A transformer's values have outliers that carry meaning; a convolution net's are cut off.
    pairs = QuantizeSymmetric(calibration="percentile" if convolutional else "minmax")
    return (
        whole,
        (HALF, (half, place.step), f"an engine for {sm} in fp16, ranges checked on real inputs"),
        (
            "int8",
            (pairs, half, place.step),
            f"an engine for {sm} with static int8 products (signed, symmetric), the rest in fp16",
        ),
    )


def profile_for(
    interface: Interface,
    workload: Workload,
    shapes: Mapping[str, tuple[int, ...]] | None,
    requests: "Sequence[Feed]",
) -> tuple[InputRange, ...]:
    """The least, the usual and the most of every input, for requests of the workload.

    A last batch may be smaller, and one example at a time can always be asked. Texts are as long as
    the tokenizer lets them; arrays as large as the ones in `requests`.
    """
    inputs, batch = interface.inputs, workload.batch
    if isinstance(inputs, TextInputs):
        fixed = None if workload.length == "real" else workload.length
        most = inputs.max_length if fixed is None else fixed
        usual = _length(shapes) if fixed is None else fixed
        least = 1 if fixed is None else fixed
        return tuple(
            InputRange(
                name=name,
                least=(1, least),
                usual=(batch, min(usual or most, most)),
                most=(batch, most),
            )
            for name in inputs.input_names
        )
    if isinstance(inputs, ImageInputs):
        size = (inputs.channels, inputs.height, inputs.width)
        return (
            InputRange(
                name=inputs.input_name, least=(1, *size), usual=(batch, *size), most=(batch, *size)
            ),
        )
    return tuple(_seen(name, requests, shapes, batch) for name in (requests[0] if requests else ()))


def _seen(
    name: str,
    requests: "Sequence[Feed]",
    shapes: Mapping[str, tuple[int, ...]] | None,
    batch: int,
) -> InputRange:
    found = [tuple(int(size) for size in feed[name].shape) for feed in requests]
    least = tuple(min(sizes) for sizes in zip(*found, strict=True))
    most = tuple(max(sizes) for sizes in zip(*found, strict=True))
    usual = (shapes or {}).get(name, most)
    return InputRange(name=name, least=least, usual=(batch, *usual[1:]), most=(batch, *most[1:]))


def _length(shapes: Mapping[str, tuple[int, ...]] | None) -> int | None:
    return None if not shapes else next(iter(shapes.values()))[1]


def _on_cpu(request: BuildRequest, asked: str | None) -> BuildRequest:
    target = request.target
    if asked == RTX:
        raise UsageError(
            f"--runtime {RTX} builds for NVIDIA cards, and target {target.name} runs on a CPU. "
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
    if asked == "tensorrt":
        return (
            "--runtime tensorrt: this version builds no TensorRT plans, which can be built only on "
            f"the card itself. --runtime {RTX} builds engines for named cards without one."
        )
    near = nearest_word(asked, _RUNTIMES)
    meant = "" if near is None else f" Did you mean {near}?"
    return f"There is no runtime {asked!r}. There are {', '.join(_RUNTIMES)}.{meant}"


def _known(capability: str) -> bool:
    return capability in RTX_CAPABILITIES


def _no_engine(target: Target) -> str:
    gpu = target.hardware.gpu
    capability = "" if gpu is None else gpu.compute_capability
    known = ", ".join(sm_of(one) for one in RTX_CAPABILITIES)
    return (
        f"Target {target.name} has compute capability {capability} ({sm_of(capability)}), for "
        f"which TensorRT for RTX builds no engine; it knows {known}. {_INSTEAD}"
    )


def _require_known(target: Target) -> None:
    if not buildable(target):
        raise UsageError(_no_engine(target))


def _require_plain(request: BuildRequest) -> None:
    """Refuse what has to run the engine here, or to time it."""
    given = {
        "--train-data": request.train_data,
        "--unlabelled": request.unlabelled,
        "--time-limit": request.time_limit_s,
        "--effort": request.effort if request.effort is not Effort.QUICK else None,
        "--baseline": request.baseline,
    }
    wrong = [option for option, value in given.items() if value is not None]
    if wrong:
        raise UsageError(
            f"{' and '.join(wrong)} cannot be asked of a GPU target yet: smaller shapes and "
            "baselines are timed against each other, and an engine is built here and not run. "
            "Leave it out; `deployopt finetune` and `deployopt distill` train a model before it is "
            "built."
        )
