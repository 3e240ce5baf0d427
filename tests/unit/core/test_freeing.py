"""What was freed is given back to the system."""

import os
from pathlib import Path

from deployopt.core.freeing import release_memory


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_blocks_that_the_allocator_keeps_are_given_back() -> None:
    # A live block every now and then keeps the heap from shrinking by itself.
    blocks = [b"x" * (60_000 + size) for size in range(2000)]
    kept = blocks[::100]
    filled = resident_bytes()
    del blocks
    release_memory()
    assert resident_bytes() < filled - 80e6
    assert len(kept) == 20
