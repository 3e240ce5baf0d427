"""Is a bundle ever called worse than itself? Comparisons of one with itself, on the real clock.

Run `python -m benchmarks.aa BUNDLE [--times 20] [--without-turns] [--json FILE]` from the
repository's root, on a machine with nothing else to do: a Markdown row a comparison on stdout, then
the counts.
Each is what `deployopt compare BUNDLE BUNDLE` does, except that the answers, which cannot differ,
are asked once for all. Exit 1 where one is called regressed, or more than a tenth is undecided.
"""

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median, stdev

import msgspec

from deployopt.core.comparison import Change, Comparison
from deployopt.core.errors import DeviceError
from deployopt.core.evidence import Evidence
from deployopt.device.accuracy import evaluate
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.compare import compare_sides
from deployopt.device.device import Signs, ThisMachine, one_by_one, unheard
from deployopt.device.machine import matches
from deployopt.device.protocol import Timed, Timing
from deployopt.device.ring import ROUND_S, Ring, Terms
from deployopt.device.setup import Limits
from deployopt.device.sides import side_of
from deployopt.reports.comparison_words import bounds_words, change_words
from deployopt.store.staging import staged_folder

UNDECIDED_SHARE = 0.1


def main() -> int:
    """Run them one after another."""
    asked = _arguments()
    if asked.round_s is not None:
        ROUND_S.update(dict.fromkeys(Evidence, asked.round_s))
    device = OneByOne() if asked.without_turns else ThisMachine()
    opened = open_bundle(asked.bundle)
    side = side_of(opened, device.machine)
    mismatch = matches(opened.target, device.machine)
    print("| # | latency p50 | bounds | outcome | memory | pairs | void | round noise | took |")
    print("|---|---|---|---|---|---|---|---|---|")
    counts: Counter[str] = Counter()
    with staged_folder(asked.workdir) as workdir:
        ring = Ring(device=device, mismatch=mismatch, workdir=workdir)
        answers = evaluate(side.setup, side.data, workdir, device, limits=device.limits())
        side = msgspec.structs.replace(side, evaluation=answers)
        for number in range(1, asked.times + 1):
            began = time.perf_counter_ns()
            found = compare_sides(side, side, ring, Terms(margin=asked.margin, seed=number))
            _print_row(number, found, (time.perf_counter_ns() - began) / 1e9)
            counts[found.differences[0].outcome.value] += 1
            counts["memory " + found.differences[2].outcome.value] += 1
            if asked.json is not None:
                with asked.json.open("a", encoding="utf-8") as file:
                    file.write(msgspec.json.encode(found).decode() + "\n")
    print(f"\n{asked.times} comparisons: {json.dumps(counts)}")
    undecided = counts[Change.UNDECIDED.value]
    return int(counts[Change.REGRESSED.value] > 0 or undecided > UNDECIDED_SHARE * asked.times)


class OneByOne(ThisMachine):
    """This machine, where each process works until it has done."""

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        """As rounds were before there were turns."""
        return one_by_one(self, requests, limits, signs)


def _print_row(number: int, found: Comparison, seconds: float) -> None:
    latency, memory = found.differences[0], found.differences[2]
    pairs = [p for p in found.rounds if p.void is None and p.old_s > 0 and p.new_s > 0]
    ratios = [math.log(p.new_s / p.old_s) for p in pairs]
    noise = f"{100 * stdev(ratios) / math.sqrt(2):.1f} %" if len(ratios) > 1 else "—"
    middle = f"{1e3 * median(p.old_s for p in pairs):.2f} ms" if pairs else "—"
    print(
        f"| {number} | {change_words(latency)} of {middle} | {bounds_words(latency)} "
        f"| {latency.outcome.value} | {change_words(memory)}, {memory.outcome.value} "
        f"| {len(found.rounds)} | {len(found.rounds) - len(pairs)} | {noise} | {seconds:.0f} s |",
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--margin", type=float, default=Terms().margin, help="a share of one")
    parser.add_argument("--round-s", type=float, help="least seconds a round; as shipped")
    parser.add_argument(
        "--without-turns", action="store_true", help="one process after the other, for contrast"
    )
    parser.add_argument("--json", type=Path, help="append every comparison to this file, a line")
    parser.add_argument("--workdir", type=Path, default=Path.cwd())
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
