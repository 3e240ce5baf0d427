"""What was measured: raw samples, warm-ups and the environment of every round.

A round is a fresh child process; it is the unit of replication. Nothing here is a summary.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from deployopt.core.answers import AnswerTimes
from deployopt.core.evidence import Evidence
from deployopt.core.image_drift import ImageDrift
from deployopt.core.precision_loss import PrecisionLoss
from deployopt.core.recall_loss import RecallLoss


class Machine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a machine is, for as long as a measurement lasts."""

    arch: str
    cpu: str
    board: str | None = None
    isa: tuple[str, ...] = ()
    cores: int
    affinity: tuple[int, ...] = ()
    cgroup_cpus: float | None = None
    memory_bytes: int
    memory_limit_bytes: int | None = None
    governor: str | None = None
    smt: bool | None = None
    """Whether two threads share a core."""
    boost: bool | None = None
    """Whether the clock may rise above its nominal rate."""
    frequency_max_mhz: float | None = None
    kernel: str
    python: str
    packages: dict[str, str] = {}
    providers: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    """Their names, as NVML gives them."""


class CardConditions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a card did during one round, by NVML; None where it does not tell."""

    clock_mhz: float | None = None
    """Of its processors, the slowest that was seen."""
    temperature_c: float | None = None
    power_w: float | None = None
    """The most that was seen, as is the temperature."""
    reasons: tuple[str, ...] = ()
    """Why the clock was lower than asked for."""
    throttled: bool | None = None
    """Whether one of these is more than the card's own power limit."""
    others: int | None = None
    """Processes that had memory on it and are not of this measurement."""
    others_share: float | None = None
    """The most of its time that one of them had."""
    memory_bytes: int | None = None
    """The most that the measured process had on it."""
    memory_of: Literal["process", "card"] = "process"
    """`card`: by what the whole card had in use more than before, where no process is named."""
    copied_share: float | None = None
    """Of the requests' time, what copies to the card and back took, by the card's own marks for an
    engine and by synchronised clocks here for ONNX Runtime."""
    captured_share: float | None = None
    """Of the requests, those whose work was launched as one CUDA graph each."""
    uncaptured: str = ""
    """Why none was, where it was tried."""


class Conditions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the machine did during one round; None where it does not tell."""

    load1: float | None = None
    steal_share: float | None = None
    throttled: bool | None = None
    temperature_c: float | None = None
    frequency_mhz: float | None = None
    involuntary_switches: int = 0
    switches_per_s: float = 0.0
    cpu_share: float | None = None
    """CPU time over wall time x threads of the timed part."""
    preempted_share: float | None = None
    """Time that the process's threads were ready and had no core, over wall time x threads."""
    card: CardConditions | msgspec.UnsetType = msgspec.UNSET
    """Of a model that ran on one."""


class Round(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fresh process: load, first inference, warm-up, timed requests (seconds)."""

    load_s: float
    first_s: float
    warmup_s: tuple[float, ...]
    steady: bool
    samples_s: tuple[float, ...]
    peak_rss_bytes: int
    base_rss_bytes: int
    """Resident bytes after the imports and before the model."""
    conditions: Conditions
    mismatched: int = 0
    """Timed requests, of those looked at, whose output was not the accuracy run's."""
    compared: int = 0
    repeat_ratio: float | None = None
    """Median of second over first latency of inputs that came twice; None with too few inputs.

    Far below 1, answers are remembered.
    """
    answers: AnswerTimes | None = None
    """Of a language model: what `samples_s` are made of."""
    elapsed_s: float | None = None
    """Of the timed requests with the waiting between them; None where none waits."""
    energy_j: float | None = None
    """Of the timed part, by the machine's own counter; None where it has none."""
    void: str | None = None
    """Why the round does not count, for both arms; None when it does."""

    @property
    def memory_bytes(self) -> int | None:
        """The peak: of the process, or of what it had on its card; None where that is not told."""
        card = self.conditions.card
        return self.peak_rss_bytes if card is msgspec.UNSET else card.memory_bytes

    def per_second(self, batch: int) -> float | None:
        """Examples a second; None of a round without requests."""
        seconds = sum(self.samples_s) if self.elapsed_s is None else self.elapsed_s
        return len(self.samples_s) * batch / seconds if seconds > 0 else None


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All rounds of one artifact on one machine, void ones included, in the order they ran."""

    artifact: str
    machine: Machine
    evidence: Evidence
    threads: int
    batch: int
    arrivals_per_s: float | None = None
    """Of requests that came by themselves; None where one followed another."""
    rounds: tuple[Round, ...]
    failure: str | None = None
    """Why the artifact could not be measured (it crashed, hung, ate its memory, cheated)."""

    @property
    def counted(self) -> tuple[Round, ...]:
        """The rounds that are not void."""
        return tuple(r for r in self.rounds if r.void is None)

    @property
    def rates(self) -> list[float]:
        """Examples a second of every round that counts."""
        found = (one.per_second(self.batch) for one in self.counted)
        return [rate for rate in found if rate is not None]

    @property
    def joules(self) -> list[float]:
        """Of a request, in every round that counts and whose energy was counted."""
        return [
            one.energy_j / len(one.samples_s)
            for one in self.counted
            if one.energy_j is not None and one.samples_s
        ]


class Split(StrEnum):
    """The three disjoint parts of the data."""

    CALIBRATION = "calibration"
    SEARCH = "search"
    GATE = "gate"


class AccuracyTrial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same examples through the reference and the candidate.

    `both_right`, `lost` (b: reference right, candidate wrong), `gained` (c) and `both_wrong` add up
    to `examples`. Without labels the reference counts as right, so that `lost` is the disagreement.
    Of a detector an example is an image: `lost` are those in which the candidate finds less,
    `gained` those in which it finds more, and its loss of mAP is in `precision`. Of an image-text
    model an example is a pair, of whose two answers fewer, or more, are right than before.
    """

    artifact: str
    split: Split
    evidence: Evidence
    labelled: bool
    examples: int
    both_right: int
    lost: int
    gained: int
    both_wrong: int
    non_finite: int = 0
    synthetic: bool = False
    """Whether the inputs were made up, so that agreement on them proves nothing."""
    guessing: float | None = None
    """Share right by choosing blindly, of questions with choices; None where there are none."""
    exact_arithmetic: bool = True
    """Whether this machine's integer arithmetic gives what the target's would."""
    note: str = ""
    stand_in: str | None = None
    """What answered in the artifact's place; None where it did so itself."""
    precision: PrecisionLoss | msgspec.UnsetType = msgspec.UNSET
    """Of a detector only."""
    recall: RecallLoss | msgspec.UnsetType = msgspec.UNSET
    """Of an image-text model only."""
    drift: ImageDrift | msgspec.UnsetType = msgspec.UNSET
    """Of a model that draws only; `lost` are images that are not the reference's."""

    @property
    def told(self) -> tuple[str, ...]:
        """What a person should know of it whatever the verdict: of a model that draws."""
        if self.drift is msgspec.UNSET:
            return ()
        # What each graph took of what answered in a card's place is no share of the card's time.
        return (self.drift.words if self.stand_in is None else self.drift.far,)

    @property
    def over_all(self) -> PrecisionLoss | RecallLoss | None:
        """What is no mean over examples: mAP or recall; None where right and wrong are counted."""
        if self.precision is not msgspec.UNSET:
            return self.precision
        return None if self.recall is msgspec.UNSET else self.recall

    @property
    def candidate_accuracy(self) -> float:
        """Share right, of one; of a detector mAP, of an image-text model recall."""
        if self.over_all is not None:
            return self.over_all.candidate
        return (self.both_right + self.gained) / max(1, self.examples)

    @property
    def reference_accuracy(self) -> float:
        """The same of the reference."""
        if self.over_all is not None:
            return self.over_all.reference
        return (self.both_right + self.lost) / max(1, self.examples)
