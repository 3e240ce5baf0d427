"""The session as Triton can be told of it: which parameters, and what it cannot be told.

In: a bundle's manifest and target. Out: parameters by the names of Triton's backends, and sentences
on the rest. Names are those of the READMEs and sources of onnxruntime_backend (`onnxruntime.cc`)
and openvino_backend.
"""

from typing import Final

import msgspec

from deployopt.core.artifact import Precision, SessionOptions
from deployopt.core.bundle import Manifest
from deployopt.core.card import BUILT_THERE, CUDA, PLAN, TENSORRT
from deployopt.core.card_options import (
    CUDA_OPTIONS,
    TF32_OFF,
    captures,
    cuda_options,
    profile_options,
)
from deployopt.core.errors import UsageError
from deployopt.core.target import Target
from deployopt.core.text import name_list

_HEEDED: Final = frozenset({"session.use_device_allocator_for_initializers"})
"""Session entries that onnxruntime_backend passes on."""
_BACKENDS: Final = ("onnxruntime", "openvino", "tensorrt")
"""Runtimes whose models a backend opens: TensorRT's by ONNX Runtime, which hands it the graph."""
_PLANNED_ONLY: Final = frozenset({Precision.BF16, Precision.FP8})
_ACCELERATORS: Final = ("cpu", CUDA, TENSORRT, PLAN)
_SEARCHES: Final = ("EXHAUSTIVE", "HEURISTIC", "DEFAULT")
_ARENAS: Final = ("kNextPowerOfTwo", "kSameAsRequested")
"""Options of CUDA by the backend's numbers for them (`onnxruntime.cc`)."""


class TritonSession(msgspec.Struct, frozen=True, kw_only=True):
    """What config.pbtxt says of the session."""

    backend: str
    parameters: dict[str, str]
    accelerators: dict[str, dict[str, str]] = {}
    """Of gpu_execution_accelerator, in order, each with its parameters; none on a CPU."""
    heeded: SessionOptions
    """The bundle's options, those that Triton is told."""
    untold: tuple[str, ...] = ()
    """One sentence each."""


def session_of(manifest: Manifest, target: Target) -> TritonSession:
    """The parameters.

    Raises:
        UsageError: no backend of Triton's opens such a model, or none runs on such a provider.
    """
    provider = target.runtime.provider
    if manifest.runtime not in _BACKENDS or provider not in _ACCELERATORS:
        raise UsageError(
            f"A bundle for {manifest.runtime} on the provider {provider} has no backend in Triton "
            "that opens it as it was measured. Build it for onnxruntime or openvino, with a target "
            "whose provider is cpu, cuda, tensorrt or tensorrt-plan."
        )
    if provider == PLAN and manifest.precision in _PLANNED_ONLY:
        raise UsageError(
            f"A bundle in {manifest.precision} is for TensorRT itself: Triton would be given its "
            "graph for ONNX Runtime, of which nothing says that it hands such values to TensorRT. "
            "Build it with --runtime onnxruntime-tensorrt, which tries fp16 and int8."
        )
    if manifest.runtime == "openvino":
        return _openvino(manifest)
    return _onnxruntime(manifest, provider)


def _onnxruntime(manifest: Manifest, provider: str) -> TritonSession:
    options = manifest.session
    heeded = {k: v for k, v in sorted(options.config_entries.items()) if k in _HEEDED}
    left = sorted(options.config_entries.keys() - _HEEDED)
    untold = []
    if options.disabled_optimizers:
        untold.append(
            "It was measured without ONNX Runtime's graph optimizers "
            f"{name_list(options.disabled_optimizers)}, and Triton's backend cannot be told to "
            "leave some out: there they run."
        )
    if left:
        untold.append(f"Triton's backend cannot be told the session entries {name_list(left)}.")
    if provider == PLAN:
        untold.append(
            "It was measured as a plan that TensorRT itself built of the whole graph. Triton opens "
            "a plan only in the version that built it, so it is given the graph: there ONNX "
            "Runtime optimizes it and hands it to TensorRT, and its times are not those of the "
            "measurement."
        )
    if captures(options):
        untold.append(
            "It was measured with requests launched as one CUDA graph each, for which Triton's "
            "backend would have to keep their memory in place: there each kernel is launched by "
            "itself."
        )
    if provider in BUILT_THERE and options.tf32 is not True:
        untold.append(
            "It was measured with TF32 off, which Triton's backend cannot tell TensorRT: start the "
            f"server with {'='.join(TF32_OFF)} in its environment."
        )
    return TritonSession(
        backend="onnxruntime",
        parameters={
            "intra_op_thread_count": str(manifest.threads),
            "inter_op_thread_count": "1",
            "execution_mode": "0",
            **heeded,
            **_cuda_parameters(provider),
        },
        accelerators=_accelerators(provider, options),
        heeded=SessionOptions(config_entries=heeded),
        untold=tuple(untold),
    )


def _cuda_parameters(provider: str) -> dict[str, str]:
    """What the backend reads among a model's parameters, by its numbers for what is measured with.

    It takes its own defaults where they are not here, whatever an accelerator says.
    """
    if provider == "cpu":
        return {}
    return {
        "cudnn_conv_algo_search": str(_SEARCHES.index(CUDA_OPTIONS["cudnn_conv_algo_search"])),
        "arena_extend_strategy": str(_ARENAS.index(CUDA_OPTIONS["arena_extend_strategy"])),
    }


def _accelerators(provider: str, options: SessionOptions) -> dict[str, dict[str, str]]:
    """TF32 can be told to the accelerator alone; what TensorRT has no layer for CUDA does."""
    if provider == "cpu":
        return {}
    first = {TENSORRT: profile_options(options)} if provider in BUILT_THERE else {}
    return {**first, CUDA: {"use_tf32": cuda_options(options)["use_tf32"]}}


def _openvino(manifest: Manifest) -> TritonSession:
    precision = (
        "It was measured with all sums in float32 and threads free to move; Triton's backend "
        "cannot be told either, and on a CPU with bfloat16 units OpenVINO may use those."
    )
    entries = sorted(manifest.session.config_entries)
    return TritonSession(
        backend="openvino",
        parameters={
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(manifest.threads),
        },
        heeded=SessionOptions(),
        untold=(
            precision,
            *((f"Nor the session entries {name_list(entries)}.",) if entries else ()),
        ),
    )
