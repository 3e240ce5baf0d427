"""What ARM code did under an emulator: answers, installed packages, instructions by kind.

Counts are a cost, the same from run to run; they are not a time, and nothing here is one.
"""

from enum import StrEnum
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.verdict import Outcome

SCHEMA_VERSION: Final = 1


class InstructionKind(StrEnum):
    """Kinds of A64 instructions, in the order they are shown."""

    FLOAT_MULTIPLY_ADD = "float_multiply_add"  # FMLA, FMLS, FMADD
    FLOAT_OTHER = "float_other"
    DOT = "dot"  # SDOT, UDOT
    INTEGER_MULTIPLY = "integer_multiply"  # vectors: SMULL, SMLAL, MUL, MLA
    VECTOR_OTHER = "vector_other"  # moves, sums and logic on vectors
    LOAD = "load"
    STORE = "store"
    BRANCH = "branch"
    OTHER = "other"


class Numerics(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same examples there and on this machine.

    A difference is over the greatest value that the output has here, in all requests.
    """

    examples: int
    requests: int
    within: int
    """Requests of which no output differs by more than `tolerance`."""
    tolerance: float
    """What the other order of sums on another processor may change: the last digits."""
    worst: float
    """The greatest difference; infinite where shapes differ or values are not finite."""
    rms: float
    """Root-mean-square difference over the root mean square here, all requests together."""
    rms_allowed: float | None
    """The most that `rms` may be, of an artifact that rounds as it runs; None for others."""
    non_finite: int
    non_finite_here: int
    same_class: int | None
    """Examples with the class that they have here; None where nothing is classified."""
    agree_reference: int
    """Examples on which the artifact there agrees with the reference's answers."""
    agree_reference_here: int
    """The same on this machine."""
    exact_here: bool
    """Whether this machine's integer arithmetic gives what the target's does."""


class SmallInstall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `pip install deployopt` puts on the device, for its architecture."""

    python: str
    versions: dict[str, str]
    """Of every distribution."""
    sizes: dict[str, int]
    """Bytes of every distribution, without the bytecode that Python adds."""
    imported: tuple[str, ...]
    """Modules that were imported there."""

    @property
    def size_bytes(self) -> int:
        """All together."""
        return sum(self.sizes.values())


class InstructionCounts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Instructions of single inferences, one thread, added over a few requests."""

    requests: int
    examples_sha256: str
    by_kind: dict[InstructionKind, int]
    steady: bool
    """Whether asking the same once more took as many instructions, within a thousandth."""

    @property
    def total(self) -> int:
        """All kinds together."""
        return sum(self.by_kind.values())

    def each(self, kind: InstructionKind | None = None) -> float:
        """Instructions of one inference, of one kind or of all."""
        count = self.total if kind is None else self.by_kind.get(kind, 0)
        return count / max(1, self.requests)


class CountsCompared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """These counts beside those of an earlier result."""

    name: str
    precision: Precision
    processor: str
    onnxruntime: str
    bundle_digest: str
    counts: InstructionCounts
    ratio: float
    """Instructions of one inference now over then."""
    allowed: float | None = None
    """The most that the ratio may be; None: it is only shown."""


class EmulateResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `deployopt emulate` found."""

    schema_version: int = SCHEMA_VERSION
    bundle: str
    bundle_digest: str
    name: str
    precision: Precision
    deployed_bytes: int
    target: str
    target_title: str
    processor: str
    """As the emulator calls it."""
    emulator: str
    onnxruntime: str
    onnxruntime_here: str | None
    gate_examples: int
    """How many examples the bundle holds; `numerics.examples` of them were used."""
    numerics: Numerics
    install: SmallInstall
    counts: InstructionCounts
    compared: CountsCompared | None = None
    outcome: Outcome
    reasons: tuple[str, ...]
    seconds: dict[str, float] = {}
    """What the command took, by stage; nothing of it is a time of the model."""
    warnings: tuple[str, ...] = ()
    exit_code: int
