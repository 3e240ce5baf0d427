"""Known chatter of torch and transformers, silenced one message at a time and only while needed."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers.utils import logging as transformers_logging


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and only errors from transformers; both are as they were afterwards."""
    level, bars = (
        transformers_logging.get_verbosity(),
        transformers_logging.is_progress_bar_enabled(),
    )
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


@contextmanager
def quiet_export() -> Iterator[None]:
    """What the exporters always warn of: tracing, deprecation, and constants that do not fold.

    That the trace is right is checked afterwards, against the model, on other shapes.
    """
    registry = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registry.level
    # It tells of operators of a package that is not installed and not wanted.
    registry.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for module in (
                r"torch\..*",
                r"transformers\..*",
                r"deployopt\.modeling\..*",
                "copyreg",
            ):
                for category in (DeprecationWarning, FutureWarning, UserWarning):
                    warnings.filterwarnings("ignore", category=category, module=module)
            warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
            warnings.filterwarnings("ignore", message="You are using the legacy TorchScript")
            warnings.filterwarnings("ignore", message="Exporting aten::index operator")
            yield
    finally:
        registry.setLevel(level)
