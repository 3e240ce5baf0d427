"""How much a process may hold open at once; a system gives a thousand, and more where it is asked.

In: how many are wanted. Out: how many can be had. Other files that the process opens keep SPARE.
"""

import resource
from contextlib import suppress
from typing import Final

SPARE: Final = 256


def descriptors(wanted: int) -> int:
    """How many of these may be held open, at least one; the soft limit is raised where it must."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted + SPARE:
        # In powers of two, so that the system is asked now and then.
        needed = 1 << (wanted + SPARE - 1).bit_length()
        more = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, more), hard))
            soft = max(soft, more)
    return max(1, min(wanted, soft - SPARE))
