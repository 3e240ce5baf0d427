"""Memory that was freed goes back to the system, so that the next large thing does not add to it.

glibc keeps freed blocks of up to 32 MB for itself, and a parsed model may hang in a reference cycle
until the collector comes by: after a model of 268 MB both together held back 300 MB.
"""

import ctypes
import gc


def release_memory() -> None:
    """Call it after a large model is gone, before the next one is opened."""
    gc.collect()
    # Other C libraries have no such call, and no such need.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
