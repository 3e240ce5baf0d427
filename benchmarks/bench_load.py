"""Do time and memory grow in proportion to what is tried? 500 candidates for 20 targets.

    python -m benchmarks.bench_load [PART ...]

For each part of the store and of the reports: processor seconds and the most memory held, at 31,
62, 125, 250 and 500 candidates for each of 20 targets, and the exponent k of growth as n^k (least
squares over logarithms). Every size is a fresh process, and memory a run of its own, for counting
it costs time. fsync is left out: how quick the disk is is not the question. Exit 1 above LIMIT.
"""

import argparse
import math
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.load_parts import PARTS

SIZES: Final = (31, 62, 125, 250, 500)
TARGETS: Final = 20
LIMIT: Final = 1.05
ROOM: Final = 0.1
"""What an exponent may be above the aim before it counts: of timing, not of the code."""
DESCRIPTORS: Final = 1024
"""As many as most systems give a process before it asks for more."""
_MIB: Final = 2**20


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help="; ".join(PARTS))
    parser.add_argument("--child", nargs=4, metavar=("PART", "SIZE", "TARGETS", "WHAT"))
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--targets", type=int, default=TARGETS)
    asked = parser.parse_args(arguments)
    if asked.child:
        name, size, targets, what = asked.child
        print(_measured(name, int(size), int(targets), counting_memory=what == "memory"))
        return 0
    sizes = [int(size) for size in asked.sizes.split(",")]
    print(f"candidates for each of {asked.targets} targets; growth as n^k\n")
    head = " | ".join(str(size) for size in sizes)
    print(f"| part | what | {head} | k |\n|---|---|{'---|' * len(sizes)}---|")
    steep = [name for name in asked.parts if not _shown(name, sizes, asked.targets)]
    for name in steep:
        print(f"grows faster than n^{LIMIT}: {name}", file=sys.stderr)
    return 1 if steep else 0


def _shown(name: str, sizes: Sequence[int], targets: int) -> bool:
    """Print both rows of a part; whether both grow as they may."""
    seconds = [_asked(name, size, targets, "time") for size in sizes]
    peaks = [_asked(name, size, targets, "memory") / _MIB for size in sizes]
    grown = exponent(sizes, seconds), exponent(sizes, peaks)
    rows = (("seconds", seconds, grown[0]), ("MiB", peaks, grown[1]))
    for word, values, k in rows:
        cells = " | ".join(f"{value:.3g}" for value in values)
        print(f"| {name} | {word} | {cells} | {k:.2f} |", flush=True)
    return max(grown) <= LIMIT + ROOM


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """The k of n^k that fits the values best."""
    xs = [math.log(size) for size in sizes]
    ys = [math.log(max(value, 1e-9)) for value in values]
    x_mean, y_mean = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    across = math.fsum((x - x_mean) ** 2 for x in xs)
    return math.fsum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / across


def _asked(name: str, size: int, targets: int, what: str) -> float:
    """Of one part at one size, in a process of its own."""
    child = ["--child", name, str(size), str(targets), what]
    words = [sys.executable, "-m", "benchmarks.bench_load", *child]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} at {size}: {done.stderr}")
    return float(done.stdout)


def _measured(name: str, size: int, targets: int, *, counting_memory: bool) -> float:
    """Seconds of the processor, or bytes, of one part in this process."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, hard), hard))
    os.fsync = _not_waited_for  # type: ignore[assignment] # without the name of its argument
    part = PARTS[name]
    with TemporaryDirectory() as folder:
        work = part(size, targets, Path(folder))
        if counting_memory:
            tracemalloc.start()
        began = time.process_time()
        work()
        spent = time.process_time() - began
        return float(tracemalloc.get_traced_memory()[1]) if counting_memory else spent


def _not_waited_for(_: object) -> None:
    """In place of fsync."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
