"""A language model's bundle becomes a process that answers.

In: a bundle whose bytes were checked, threads and context. Out: the process. Refuses a bundle of
another kind, a context that the model does not have, and a machine without onnxruntime-genai.
"""

from importlib.util import find_spec
from typing import Final

import msgspec

from deployopt.core.errors import MissingExtraError, UsageError
from deployopt.core.interface import Interface, PromptInputs
from deployopt.device.bundle_reader import OpenBundle
from deployopt.device.chatting.process import ModelProcess
from deployopt.device.setup import threads_here

CONTEXT_DEFAULT: Final = 2048
"""As a workload's: what memory was judged with."""
CONTEXT_LEAST: Final = 32
_RUNTIME: Final = "onnxruntime_genai"


def open_model(
    bundle: OpenBundle, *, threads: int | None = None, context: int | None = None
) -> ModelProcess:
    """Start a confined process with the model.

    Raises:
        UsageError: it is no language model's bundle, or has no such context.
        MissingExtraError: onnxruntime-genai is not installed.
        IntegrityError, DeviceError: the model cannot be opened here.
    """
    inputs = prompt_inputs(bundle)
    if find_spec(_RUNTIME) is None:
        raise MissingExtraError("A language model", "chat")
    setup = bundle.setup
    if threads is not None:
        setup = msgspec.structs.replace(setup, threads=threads_here(max(1, threads)))
    return ModelProcess(setup, _context(bundle, inputs, context))


def prompt_inputs(bundle: OpenBundle) -> PromptInputs:
    """What the model takes; raises UsageError where the bundle is of another kind."""
    interface: Interface = bundle.manifest.interface
    if not isinstance(interface.inputs, PromptInputs):
        raise UsageError(
            f"{bundle.folder} holds a model for {interface.task.value}, which does not talk. "
            f"Predict with it: deployopt run {bundle.folder} INPUT"
        )
    return interface.inputs


def context_of(bundle: OpenBundle) -> int:
    """Tokens of prompt and answer, unless told otherwise: those that memory was judged with."""
    workload = bundle.target.workload
    return min(prompt_inputs(bundle).context, workload.context or CONTEXT_DEFAULT)


def _context(bundle: OpenBundle, inputs: PromptInputs, asked: int | None) -> int:
    if asked is None:
        return context_of(bundle)
    if not CONTEXT_LEAST <= asked <= inputs.context:
        raise UsageError(
            f"A context of {asked} tokens is not possible: this model takes {inputs.context:,} at "
            f"most, and {CONTEXT_LEAST} are the least."
        )
    return asked
