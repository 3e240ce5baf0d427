"""ONNX Runtime on an NVIDIA card, and on nothing else.

In: a setup whose provider is a card's. Out: a session whose first answer shows where every node
ran, and whose next ones may be launched as one CUDA graph (card_capture.py). Refuses, each with a
paragraph: machines without a driver or a card, an ONNX Runtime without the provider, libraries or a
driver that do not fit, and a model of which ONNX Runtime worked out more than shapes on the CPU.
"""

import atexit
import ctypes
import io
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Final

import msgspec
import onnxruntime

from deployopt.core.card import CARD_PROVIDERS, CUDA, EXCHANGE, ORT_GPU, TENSORRT
from deployopt.core.card_options import (
    TF32_OFF,
    UNCAPTURED,
    capture_options,
    captures,
    cuda_options,
    profile_options,
)
from deployopt.core.errors import DeviceError, IntegrityError
from deployopt.core.samples import Array
from deployopt.core.text import safe_text
from deployopt.device.card_binding import Binding
from deployopt.device.card_capture import WORDS, CapturingSession, Graph
from deployopt.device.cuda_driver import cuda_major, cuda_words, driver_missing, driver_version
from deployopt.device.onnx_header import read_onnx_header
from deployopt.device.onnxruntime_session import (
    ORT_FAILURES,
    OnnxruntimeSession,
    explain_failure,
    ort_errors,
    session_options,
)
from deployopt.device.placement import read_placement, require_on_card
from deployopt.device.session import Named, Session, Spent
from deployopt.device.setup import Setup
from deployopt.store.locks import hold
from deployopt.store.staging import scratch_folder, staged_folder
from deployopt.store.writing import make_folders

_LIBRARIES: Final = {
    CUDA: "libonnxruntime_providers_cuda.so",
    TENSORRT: "libonnxruntime_providers_tensorrt.so",
}
_DEVICE: Final = {"device_id": "0"}
_PLACE: Final = "cuda"
"""Where inputs and outputs lie, by ONNX Runtime's name; TensorRT's provider has no other."""
_WARNING: Final = 2
"""As ONNX Runtime begins."""
_FATAL: Final = 4
_OF_TENSORRT: Final = "libnvinfer"


class CardSession:
    """An open model; not for several threads at once."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        provider: str,
        scratch: ExitStack,
        spent: Spent,
        options: onnxruntime.RunOptions | None,
    ) -> None:
        self._session = session
        self.spent = spent
        self._inner = OnnxruntimeSession(session, Binding(session, _PLACE, spent, options).run)
        self._provider = provider
        self._scratch = scratch
        self._profile: bytes | None = None
        self._looked = False

    def get_outputs(self) -> Sequence[Named]:
        """The graph's outputs, in order."""
        return self._inner.get_outputs()

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array]
    ) -> list[Array]:
        """Answer one request.

        Raises:
            DeviceError: the runtime fails on it, or the first one shows that the card did not do
                the work.
        """
        answer = self._inner.run(output_names, input_feed)
        if not self._looked:
            self._look()
        return answer

    def captured(self, feed: Mapping[str, Array], answers: Sequence[Array]) -> Graph:
        """What this request launches, by its answers.

        Raises:
            DeviceError: there is no room for what it reads and writes.
        """
        with ort_errors():
            return Graph(self._session, _PLACE, feed, answers)

    def _look(self) -> None:
        """Where the nodes ran; from here on nothing is recorded any more."""
        if self._profile is None:
            with self._scratch:
                self._profile = Path(self._session.end_profiling()).read_bytes()
        # Who asks again after a refusal is refused again.
        require_on_card(read_placement(self._profile), self._provider)
        self._profile = b""
        self._looked = True


def open_on_card(setup: Setup, spent: Spent | None = None) -> Session:
    """Open the model; raises as `open_session` does.

    `spent` is told of its requests too, where several graphs answer as one model.
    """
    if setup.provider == TENSORRT:
        os.environ.update([TF32_OFF])
    _require_runtime(setup, CARD_PROVIDERS[setup.provider])
    spent = Spent() if spent is None else spent
    plain = msgspec.structs.replace(
        setup, session=msgspec.structs.replace(setup.session, capture=msgspec.UNSET)
    )
    if not captures(setup.session):
        return _recorded(plain, spent)
    try:
        first = _recorded(setup, spent)
    except (DeviceError, IntegrityError) as error:
        # ONNX Runtime opens nothing that it could not capture; whatever else is wrong is so again.
        session = _recorded(plain, spent)
        spent.uncaptured = safe_text(str(error), WORDS)
        return session
    return CapturingSession(first, lambda: _recorded(plain, spent))


def _recorded(setup: Setup, spent: Spent) -> CardSession:
    """A session whose first request is looked at."""
    provider = CARD_PROVIDERS[setup.provider]
    with ExitStack() as stack:
        folder = stack.enter_context(staged_folder(scratch_folder()))
        session = _opened(setup, folder)
        if provider not in session.get_providers():
            raise DeviceError(_why_not(setup.provider, provider))
        scratch = stack.pop_all()
    atexit.register(scratch.close)
    options = None
    if captures(setup.session):
        # What is recorded is launched kernel by kernel, or the record would be of a capture.
        options = onnxruntime.RunOptions()
        options.add_run_config_entry(*UNCAPTURED)
    return CardSession(session, provider, scratch, spent, options)


def _opened(setup: Setup, folder: Path) -> onnxruntime.InferenceSession:
    """With a profile of the first request, which goes into the folder.

    A provider that lacks a kernel, or cannot start, leaves the work to the CPU and says nothing:
    only the profile tells what ran where.
    """
    header = read_onnx_header(setup.model)
    options = session_options(setup)
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "first")
    # What it prints of a provider that does not start is said in words.
    onnxruntime.set_default_logger_severity(_FATAL)
    try:
        return onnxruntime.InferenceSession(
            str(setup.model),
            options,
            providers=_providers(setup),
            disabled_optimizers=list(setup.session.disabled_optimizers),
            enable_fallback=0,
        )
    except ORT_FAILURES as error:
        if _library_missing(setup.provider) is not None:
            told = _why_not(setup.provider, CARD_PROVIDERS[setup.provider])
            raise DeviceError(told) from error
        raise explain_failure(error, setup, header) from error
    finally:
        onnxruntime.set_default_logger_severity(_WARNING)


def _require_runtime(setup: Setup, provider: str) -> None:
    """Raise DeviceError where there is no card, or nothing here that could use it."""
    missing = driver_missing()
    if missing is not None:
        raise DeviceError(
            f"The model is a graph for an NVIDIA card ({provider}), and it cannot be opened here: "
            f"{missing}. On a CPU it would run all the same, and nothing that it did there would "
            "count. Copy the bundle to a machine with such a card."
        )
    there = onnxruntime.get_available_providers()
    if provider not in there:
        raise DeviceError(
            f"The model is for {provider}, which the onnxruntime {onnxruntime.__version__} that is "
            f"installed here does not have: it was built for {', '.join(there)}. Install the one "
            f"for NVIDIA cards in its place: {EXCHANGE}. On a Jetson it comes from NVIDIA's own "
            "package index."
        )
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None:
        # Of what it does not find it prints a line each; what matters of that is said below.
        with redirect_stdout(io.StringIO()):
            preload()
    folder = _engines(setup)
    if folder is not None:
        make_folders(folder)
        hold(folder.parent)  # until the process ends: a collector leaves it


def _providers(setup: Setup) -> list[tuple[str, dict[str, str]]]:
    """The target's first; where that is TensorRT, CUDA does what TensorRT has no layer for."""
    cuda = _DEVICE | cuda_options(setup.session)
    if setup.provider == CUDA:
        return [(CARD_PROVIDERS[CUDA], cuda | capture_options(CUDA, setup.session))]
    return [
        (CARD_PROVIDERS[TENSORRT], tensorrt_options(setup)),
        (CARD_PROVIDERS[CUDA], cuda),
    ]


def tensorrt_options(setup: Setup) -> dict[str, str]:
    """What it built is kept, so that every process of a measurement runs the same kernels."""
    options = _DEVICE | profile_options(setup.session) | capture_options(TENSORRT, setup.session)
    folder = _engines(setup)
    if folder is not None:
        options |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(folder),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(folder),
        }
    return options


def _engines(setup: Setup) -> Path | None:
    """One folder for each version of the runtime, which takes no engine of another."""
    return None if setup.engines is None else setup.engines / onnxruntime.__version__


def _why_not(name: str, provider: str) -> str:
    """A provider did not start though it is there: the driver is too old, or libraries lack."""
    have = f"{ORT_GPU} {onnxruntime.__version__}"
    begins = f"{provider} does not start, and on the CPU nothing would count"
    needed = str(getattr(onnxruntime, "cuda_version", "") or "")
    driver = driver_version()
    major = needed.partition(".")[0]
    if driver is not None and major.isdigit() and cuda_major(driver) < int(major):
        shown = cuda_words(driver)
        return (
            f"{begins}: the NVIDIA driver here is for CUDA {shown}, and {have} was built for CUDA "
            f"{needed}. Install a driver for CUDA {major}.0 or later, or an {ORT_GPU} for CUDA "
            f"{shown}."
        )
    lacks = _library_missing(name)
    if lacks is None:
        return (
            f"{begins}: {have} gives no reason that can be told. Look at the card with nvidia-smi, "
            "and see whether its memory is free and its driver answers."
        )
    remedy = EXCHANGE
    if _OF_TENSORRT in lacks:
        remedy = (
            "install TensorRT 10 and put the folder of its libraries into LD_LIBRARY_PATH, or "
            "build for --runtime onnxruntime, which needs none"
        )
    return f"{begins}: {lacks}. To mend it: {remedy}"


def _library_missing(name: str) -> str | None:
    """What the loader says of the provider's library; None where it has nothing to say."""
    folder = Path(onnxruntime.__file__).parent / "capi"
    try:
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / _LIBRARIES[name]))
    except OSError as error:
        return safe_text(str(error).removeprefix(f"{folder}/"), 200)
    return None
