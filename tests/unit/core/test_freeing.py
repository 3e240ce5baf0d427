"""What was freed is given back to the system."""

import gc

import psutil

from deployopt.core.freeing import release_memory


def test_blocks_that_the_allocator_keeps_are_given_back() -> None:
    process = psutil.Process()
    gc.collect()
    start = process.memory_info().rss
    # Small blocks with a live one behind them stay in the heap when they are freed.
    blocks = [b"x" * (60_000 + size) for size in range(2000)]
    kept = blocks[::100]
    filled = process.memory_info().rss
    assert filled > start + 100e6
    del blocks
    release_memory()
    assert process.memory_info().rss < start + 40e6
    assert len(kept) == 20
