"""Memory that was freed goes back to the system, so that the next large thing does not add to it.

glibc keeps freed blocks of up to 32 MB for itself: after a session over a model of 268 MB it held
back 180 MB.
"""

import ctypes
from typing import Final

# Other C libraries have no such call, and no such need.
_TRIM: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)


def release_memory() -> None:
    """Call it after a large model is gone, before the next one is opened."""
    if _TRIM is not None:
        _TRIM(0)
