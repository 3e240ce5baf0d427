"""Known chatter of training, silenced one message at a time and only while needed."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_KNOWN: Final = (
    (UserWarning, "Detected call of `lr_scheduler.step()`"),
    (UserWarning, r".*pin_memory.*"),
    (UserWarning, r".*save_embedding_layers.*"),
    (FutureWarning, r".*gradient_checkpointing.*is deprecated.*"),
    (FutureWarning, r".*torch\.distributed\.reduce_op.*"),
    (UserWarning, r"find_unused_parameters=True was specified.*"),
)


@contextmanager
def quiet_training() -> Iterator[None]:
    """The usual warnings are left out; others are shown."""
    with warnings.catch_warnings():
        for kind, message in _KNOWN:
            warnings.filterwarnings("ignore", message=message, category=kind)
        yield
