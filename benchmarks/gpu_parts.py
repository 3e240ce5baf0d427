"""What benchmarks/gpu.py asks of a card beside its race: the tests, CUDA graphs, a reference.

In: names of targets and models, requests. Out: records for the results. Needs the card.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from deployopt.core.samples import Feed
from deployopt.core.source import SourceModel
from deployopt.core.worked import Worked
from deployopt.planning.targets import load_target, target_path

ROOT: Final = Path(__file__).resolve().parent.parent
LENGTH: Final = 128
"""Tokens of every text, where requests are to have one shape."""
_ANY_LENGTH: Final = re.compile(r'^length = "real"$', re.MULTILINE)
_LINES: Final = 40


class GpuTests(msgspec.Struct, frozen=True, kw_only=True):
    """The tests that need a GPU, and the last lines of what pytest said."""

    exit_code: int
    said: tuple[str, ...]


class ReferenceRun(msgspec.Struct, frozen=True, kw_only=True):
    """The reference's answers to the same requests on the card and on the CPU, in seconds."""

    requests: int
    on_card: bool
    note: str
    card_s: float
    cpu_s: float
    same_twice: bool
    """Whether the card gave the same bits again."""
    apart: float
    """The greatest difference of any answer."""

    @property
    def words(self) -> str:
        """For a person."""
        where = "on the card" if self.on_card else f"on the CPU alone: {self.note}"
        return (
            f"{self.requests} requests: {self.card_s:.2f} s {where}, {self.cpu_s:.2f} s on the "
            f"CPU, {self.apart:.2g} apart at most, the same bits twice: {self.same_twice}"
        )


def gpu_tests() -> GpuTests:
    """`pytest -m gpu`, in a process of its own."""
    words = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests"]
    done = subprocess.run(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return GpuTests(exit_code=done.returncode, said=tuple(done.stdout.splitlines()[-_LINES:]))


def fixed_target(target: str, folder: Path) -> Path:
    """The same target with requests of one shape, as a file."""
    source = target_path(target)
    path = folder / source.name
    path.write_text(_ANY_LENGTH.sub(f"length = {LENGTH}", source.read_text("utf-8")), "utf-8")
    return path


def named_target(target: str, card: str, folder: Path) -> str:
    """The target, or a file of it with this card's name where it has another's.

    Cards of one compute capability differ in name, and nothing is verified on a card of another.
    """
    source, meant = target_path(target), load_target(target).match.gpu
    if meant is None or meant == card:
        return target
    path = folder / source.name
    text = source.read_text("utf-8")
    path.write_text(text.replace(json.dumps(meant), json.dumps(card)), "utf-8")
    return str(path)


def how_launched(result: object) -> tuple[float | None, str]:
    """Which share of requests as one CUDA graph, and why not, as `verify` said it."""
    found = result if isinstance(result, dict) else {}
    card = (found.get("latency") or {}).get("card") or {}
    return card.get("captured_share"), card.get("uncaptured", "")


def reference_run(source: SourceModel, requests: Sequence[Feed], threads: int) -> ReferenceRun:
    """Twice on the card, of which the second is timed, and once on the CPU."""
    from deployopt.modeling import reference_card
    from deployopt.modeling.reference import predict

    feeds = [{name: array[:1] for name, array in feed.items()} for feed in requests]
    worked = Worked()

    def asked() -> tuple[float, "np.typing.NDArray[np.float32]"]:
        begun = time.perf_counter()
        found = predict(
            source.artifact.folder, source.interface, feeds, threads=threads, worked=worked
        )
        return time.perf_counter() - begun, found

    _, first = asked()
    card_s, again = asked()
    told = msgspec.structs.replace(worked)
    usual = reference_card.first_card
    reference_card.first_card = lambda: None
    try:
        cpu_s, here = asked()
    finally:
        reference_card.first_card = usual
    return ReferenceRun(
        requests=len(feeds),
        on_card=told.on_card,
        note=told.note,
        card_s=card_s,
        cpu_s=cpu_s,
        same_twice=bool(np.array_equal(first, again)),
        apart=float(np.max(np.abs(again - here), initial=0.0)),
    )
