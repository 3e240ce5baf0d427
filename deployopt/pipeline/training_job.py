"""A prepared request as a job for the trainer: examples encoded, time counted, a key for the run.

In: base, data and options. Out: what `modeling.training` takes. Nothing here needs torch.
"""

import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final, Protocol

import msgspec

from deployopt.core.codec import to_plain
from deployopt.core.errors import TrainingError
from deployopt.core.examples import Example
from deployopt.core.interface import Interface, TextInputs
from deployopt.core.samples import Feed
from deployopt.core.training_request import FinetuneRequest
from deployopt.core.watching import Watcher
from deployopt.core.workload import Workload
from deployopt.device.inputs import TextEncoder, feeds
from deployopt.modeling.training.job import Checkpoints, Job, Labelled, Labels, Words
from deployopt.modeling.training.ranks import process_count
from deployopt.pipeline.training_options import Settled
from deployopt.sources.training_base import TrainingBase
from deployopt.sources.training_data import TrainingData
from deployopt.sources.training_lots import HELD_OUT, TRAIN, VALIDATION
from deployopt.store.keys import cache_key

TOOLS: Final = ("torch", "transformers", "peft", "accelerate")
_VERSION: Final = 1
_ONE: Final = Workload(batch=1, length="real")


class Prepared(Protocol):
    """A request with its base and options, and what is learnt."""

    @property
    def request(self) -> FinetuneRequest:
        """As it was asked."""
        ...

    @property
    def base(self) -> TrainingBase:
        """What is trained."""
        ...

    @property
    def settled(self) -> Settled:
        """How, and why so."""
        ...

    @property
    def digests(self) -> dict[str, str]:
        """Split name to the sha256 of its contents."""
        ...

    @property
    def examples(self) -> dict[str, int]:
        """Split name to how many."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """What a classifier will tell apart; a language model has none."""
        ...

    @property
    def judged(self) -> int:
        """Examples that are answered after training."""
        ...

    def lessons(self) -> Labels | Words:
        """What is learnt, as training takes it."""
        ...


class PreparedExamples(msgspec.Struct, frozen=True, kw_only=True):
    """A classifier's."""

    request: FinetuneRequest
    base: TrainingBase
    settled: Settled
    data: TrainingData
    interface: Interface
    lengths: dict[str, list[int]]
    """Of the training and validation examples, at the base's greatest length."""

    @property
    def digests(self) -> dict[str, str]:
        """As above."""
        return self.data.digests

    @property
    def examples(self) -> dict[str, int]:
        """As above."""
        return {name: len(part.classes) for name, part in self.data.parts.items()}

    @property
    def labels(self) -> tuple[str, ...]:
        """Those that it will tell apart."""
        return self.data.labels

    @property
    def judged(self) -> int:
        """As above."""
        return len(self.data.parts[HELD_OUT].classes)

    def lessons(self) -> Labels:
        """Examples encoded when they are asked for."""
        return _labels(self)


def training_job(
    prepared: Prepared,
    workdir: Path,
    checkpoints: Checkpoints,
    watcher: Watcher,
    began: int,
) -> Job:
    """The job; its time limit began when the command did.

    Raises:
        TrainingError: the time is over already.
    """
    return Job(
        folder=prepared.base.folder,
        origin=prepared.base.resolved,
        lessons=prepared.lessons(),
        options=prepared.settled.options,
        workdir=workdir,
        checkpoints=checkpoints,
        resume=prepared.request.resume,
        watcher=watcher,
        deadline_ns=_deadline(prepared.request.time_limit_s, began),
        judged=prepared.judged,
    )


def _labels(prepared: PreparedExamples) -> Labels:
    base, data, options = prepared.base, prepared.data, prepared.settled.options
    parts = {
        name: Labelled(
            inputs=data.parts[name].inputs,
            classes=data.parts[name].classes,
            # What is cut at fewer tokens has just so many.
            lengths=[min(length, options.length) for length in prepared.lengths[name]],
        )
        for name in (TRAIN, VALIDATION)
    }
    return Labels(
        interface=prepared.interface,
        new_head=data.new_head,
        train=parts[TRAIN],
        validation=parts[VALIDATION],
        encode=partial(_encode, prepared.interface, _encoder(base, options.length), base.folder),
    )


def run_key(prepared: Prepared) -> str:
    """What decides the weights; not how long it may take or where they go."""
    digests = prepared.digests
    return cache_key(
        {
            "training": _VERSION,
            "base": prepared.base.digest,
            "labels": list(prepared.labels),
            "data": [digests[TRAIN], digests[VALIDATION]],
            "options": to_plain(prepared.settled.options),
            "processes": process_count(),
            "tools": tools(),
        }
    )


def tools() -> dict[str, str]:
    """What decides the weights besides: packages and their versions."""
    return {name: version(name) for name in TOOLS}


def token_lengths(base: TrainingBase, inputs: Sequence[Example]) -> list[int]:
    """Tokens of each text, at most what the base takes; 1 for images."""
    given = base.inputs
    if not isinstance(given, TextInputs):
        return [1] * len(inputs)
    encoder = _encoder(base, given.max_length)
    if encoder is None:
        return []
    return [int(encoder.feed([text])["input_ids"].shape[1]) for text in inputs]


def _deadline(limit_s: float | None, began: int) -> int | None:
    if limit_s is None:
        return None
    spent = (time.perf_counter_ns() - began) / 1e9
    if spent >= limit_s:
        raise TrainingError(
            f"The time limit of {limit_s:g} s was over before training began: reading the model "
            f"and the data took {spent:.1f} s. Give more time."
        )
    return began + round(limit_s * 1e9)


def _encoder(base: TrainingBase, length: int) -> TextEncoder | None:
    inputs = base.inputs
    if not isinstance(inputs, TextInputs):
        return None
    shorter = msgspec.structs.replace(inputs, max_length=min(length, inputs.max_length))
    return TextEncoder(shorter, base.folder, _ONE)


def _encode(
    interface: Interface, encoder: TextEncoder | None, folder: Path, example: Example
) -> Feed:
    if encoder is not None:
        return encoder.feed([example])
    return next(iter(feeds(interface, folder, [example], _ONE)))
