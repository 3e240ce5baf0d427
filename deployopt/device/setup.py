"""How an artifact is run, on what, and how much a run may take: the nouns of this folder."""

import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.artifact import Artifact, RuntimeName, SessionOptions, runtime_on
from deployopt.core.card import BUILT_THERE, PLAN
from deployopt.core.interface import Interface
from deployopt.core.measurement import Machine
from deployopt.core.samples import Feed
from deployopt.core.target import Target
from deployopt.core.workload import Workload
from deployopt.store.layout import Layout, default_root

_GIB: Final = 2**30


class Setup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model file, and everything that decides how the runtime runs it."""

    artifact: str
    """The artifact's digest."""
    model: Path
    session: SessionOptions = SessionOptions()
    threads: int
    runtime: RuntimeName = "onnxruntime"
    provider: str = "cpu"
    """As in Runtime.provider: cpu, cuda, tensorrt, tensorrt-plan, tensorrt-rtx."""
    outputs: tuple[str, ...] = ()
    """The outputs that are asked for; all of them when empty."""
    card: str | None = None
    """The name of the card that it has to run on; None: whichever comes first."""
    card_at: int = 0
    """Which one of CUDA's order it runs on."""
    engines: Path | None = None
    """Where TensorRT keeps what it builds of a graph on this machine; None: nowhere."""


class EvaluationSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Examples (core/examples.py) and how they become requests; tokenizer.json lies in `folder`."""

    interface: Interface
    folder: Path
    examples: Path
    workload: Workload = Workload()


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a child process may take before it is stopped; None: no limit of ours.

    `quiet_s` is the longest time between two signs of life, `wall_s` the longest in all.
    """

    wall_s: float = 3600.0
    quiet_s: float = 300.0
    cpu_s: int | None = None
    memory_bytes: int | None = None
    output_bytes: int = 8 * 2**20
    """More than this on stdout and stderr together is a fault."""
    address_headroom_bytes: int = 4 * _GIB
    """Address space beyond `memory_bytes`: threads and libraries reserve what they never touch."""


class TimingInputs(msgspec.Struct, frozen=True, kw_only=True):
    """Requests to be timed and, where an accuracy run gave them, the outputs expected of each."""

    feeds: tuple[Feed, ...]
    expected: tuple[Feed, ...] | None = None


class PromptPool(msgspec.Struct, frozen=True, kw_only=True):
    """Prompts to be timed (token ids), and the answers that a score had of each, if any."""

    prompts: tuple[Feed, ...]
    expected: tuple[tuple[int, ...], ...] | None = None


class Answering(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A language model's request: so many tokens to a prompt, in a context of so many."""

    tokens: int
    context: int


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact in an interleaved measurement."""

    setup: Setup
    inputs: TimingInputs | PromptPool


def silent(done: float, what: str) -> None:
    """No one is watching."""


def threads_here(threads: int) -> int:
    """The target's threads, or all the cores here where these are fewer.

    More threads than cores would spin against each other and measure nothing.
    """
    return min(threads, len(os.sched_getaffinity(0)))


def threads_on(machine: Machine, threads: int) -> int:
    """The target's threads, or all the cores that this machine gives where these are fewer."""
    return min(threads, len(machine.affinity) or machine.cores)


def setup_of(
    artifact: Artifact, target: Target, machine: Machine, outputs: tuple[str, ...] = ()
) -> Setup:
    """The artifact as it would run on the target: its provider, as many of its threads as fit."""
    return Setup(
        artifact=artifact.digest,
        model=artifact.path,
        session=artifact.session,
        threads=threads_on(machine, target.runtime.threads),
        runtime=runtime_on(target.runtime.provider, artifact),
        provider=target.runtime.provider,
        outputs=outputs,
        card=card_for(target, machine),
        engines=engines_for(target, artifact.digest),
    )


def card_for(target: Target, machine: Machine) -> str | None:
    """The target's card on a machine that has others too, any of which may come first."""
    wanted = target.match.gpu
    return wanted if wanted in machine.gpus and len(set(machine.gpus)) > 1 else None


def engines_for(target: Target, artifact: str) -> Path | None:
    """Where TensorRT keeps what it builds of the artifact here; None for any other provider."""
    if target.runtime.provider not in BUILT_THERE:
        return None
    if target.runtime.provider == PLAN:
        return Layout(root=default_root()).engines / PLAN  # plans have names of their own
    # The digest is what a manifest says it is.
    name = hashlib.sha256(artifact.encode()).hexdigest()
    return Layout(root=default_root()).engines / name
