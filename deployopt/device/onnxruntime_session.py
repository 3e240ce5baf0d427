"""An ONNX Runtime session on the CPU, with the setup's threads and no others, quiet.

In: a Setup. Out: a session. Refuses a model stamped newer than the runtime reads, a provider that
is not there, and session entries that would make the runtime open other files.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from deployopt.core.errors import DeviceError, IntegrityError
from deployopt.core.samples import Array
from deployopt.core.text import safe_text
from deployopt.core.versions import Version, opset_read_by
from deployopt.device.onnx_header import OnnxHeader, read_onnx_header
from deployopt.device.session import Named, Session
from deployopt.device.session_entries import allowed_entries
from deployopt.device.setup import Setup

_PROVIDERS: Final[dict[str, str]] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "tensorrt-rtx": "NvTensorRTRTXExecutionProvider",
}
ORT_FAILURES: Final = (
    state.EPFail,
    state.EngineError,
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.ModelLoaded,
    state.NoModel,
    state.NoSuchFile,
    state.NotImplemented,
    state.RuntimeException,
    RuntimeError,
    ValueError,
    MemoryError,
)
"""What the runtime raises; its own errors have no common base."""
_OPSET_END: Final = re.compile(r"domain (\S*) is till opset (\d+)")
_IR_END: Final = re.compile(r"max supported IR version: (\d+)")
_MINORS: Final = range(14, 100)
_QUIET: Final = 4


Answer = Callable[[Sequence[str] | None, Mapping[str, Array]], list[Array]]


class OnnxruntimeSession:
    """ONNX Runtime's own session, whose errors are ours."""

    def __init__(self, session: onnxruntime.InferenceSession, answer: Answer | None = None) -> None:
        self._session = session
        self._answer = answer or session.run

    def get_outputs(self) -> Sequence[Named]:
        """The graph's outputs, in order."""
        outputs: Sequence[Named] = self._session.get_outputs()
        return outputs

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array]
    ) -> list[Array]:
        """Answer one request; raises DeviceError where the runtime fails on it."""
        with ort_errors():
            return self._answer(output_names, input_feed)


@contextmanager
def ort_errors() -> Iterator[None]:
    """What the runtime raises while it answers is a DeviceError."""
    try:
        yield
    except MemoryError as error:
        raise DeviceError("The model needs more memory than it may take.") from error
    except ORT_FAILURES as error:
        raise DeviceError(
            f"onnxruntime failed on this input: {safe_text(str(error), 400)}"
        ) from error


def open_onnxruntime(setup: Setup) -> Session:
    """Open the model; raises as `open_session` does."""
    provider = _provider(setup.provider)
    header = read_onnx_header(setup.model)
    try:
        session = onnxruntime.InferenceSession(
            str(setup.model),
            session_options(setup),
            providers=[provider],
            disabled_optimizers=list(setup.session.disabled_optimizers),
            enable_fallback=0,
        )
    except ORT_FAILURES as error:
        raise explain_failure(error, setup, header) from error
    return OnnxruntimeSession(session)


def session_options(setup: Setup) -> onnxruntime.SessionOptions:
    """Its threads and no others, quiet; raises RefusedInputError on entries that name files."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = setup.threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _QUIET
    for key, value in allowed_entries(setup.session):
        options.add_session_config_entry(key, value)
    return options


def _provider(name: str) -> str:
    there = onnxruntime.get_available_providers()
    wanted = _PROVIDERS.get(name, name)
    if wanted not in there:
        raise DeviceError(
            f"The provider {name!r} ({wanted}) is not in this onnxruntime, which has "
            f"{', '.join(there)}. Install the onnxruntime build that has it, or choose a target "
            'with provider = "cpu".'
        )
    return wanted


def explain_failure(
    error: BaseException, setup: Setup, header: OnnxHeader
) -> DeviceError | IntegrityError:
    """What the runtime says of a file that it does not open, and what to do."""
    text = str(error)
    have = onnxruntime.__version__
    opset, ir = _OPSET_END.search(text), _IR_END.search(text)
    if opset:
        domain = "" if opset[1] == "ai.onnx" else opset[1]
        stamped = header.opsets.get(domain, 0)
        return IntegrityError(
            f"{setup.model.name} has opset {stamped}{f' of {domain}' if domain else ''}, and this "
            f"onnxruntime ({have}) reads up to {opset[2]}. {_advice(stamped, domain)}"
        )
    if ir:
        return IntegrityError(
            f"{setup.model.name} has IR version {header.ir_version}, and this onnxruntime ({have}) "
            f"reads up to {ir[1]}. Install a newer onnxruntime, or build for its version."
        )
    if isinstance(error, state.InvalidProtobuf | state.InvalidGraph | state.NoSuchFile):
        return IntegrityError(
            f"{setup.model.name} is not a model that onnxruntime {have} can open: "
            f"{safe_text(text, 500)}"
        )
    return DeviceError(
        f"onnxruntime {have} could not open {setup.model.name}: {safe_text(text, 500)}"
    )


def _advice(opset: int, domain: str) -> str:
    minors = [m for m in _MINORS if opset_read_by(Version((1, m), final=True)) >= opset]
    if domain or not minors:
        return "Install the newest onnxruntime, or build again for this version."
    return f"Install onnxruntime>=1.{minors[0]}, or build again for this version."
