"""What `distill` is asked, read and complete."""

from pathlib import Path

import msgspec

from deployopt.core.errors import UsageError


class DistillRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The student is cut from the teacher by `layers`, `keep`, `ffn`, `heads`, unless it is named.

    `layers` is how many are kept, evenly spread; `keep` says which. `data` None is what the teacher
    brings; `time_limit_s` is for teaching alone.
    """

    teacher: str
    student: str | None = None
    layers: int | None = None
    keep: tuple[int, ...] = ()
    ffn: float = 1.0
    heads: float = 1.0
    importance: str = "taylor"
    data: str | None = None
    evaluation: str | None = None
    unlabelled: Path | None = None
    columns: dict[str, str] = {}
    epochs: int = 4
    learning_rate: float = 1e-4
    batch: int = 32
    temperature: float = 2.0
    hidden_weight: float = 1.0
    relation_weight: float = 0.0
    label_weight: float = 0.0
    time_limit_s: float | None = None
    seed: int = 0
    output: Path
    store: Path | None = None

    @property
    def cuts(self) -> bool:
        """Whether anything is to be cut off."""
        return bool(self.layers or self.keep) or self.ffn != 1 or self.heads != 1

    def check(self) -> None:
        """Raise UsageError where options contradict each other or there is nothing to do."""
        if self.layers is not None and self.keep:
            raise UsageError("--layers says how many, --keep-layers which. Give one of them.")
        if self.layers is not None and self.layers < 1:
            raise UsageError(f"--layers {self.layers}: a student has at least one layer.")
        if self.student is None and not self.cuts:
            raise UsageError(
                "Nothing says how the student differs from the teacher. Give --layers N or "
                "--keep-layers 0,2,4, --ffn 0.5, or the name of a smaller model as --student."
            )
        names = [Path(name).expanduser() for name in (self.teacher, self.student) if name]
        if any(name.exists() and name.resolve() == self.output.resolve() for name in names):
            raise UsageError(
                f"{self.output} is a model that the student is made from, and it would be "
                "replaced. Name another folder with -o."
            )
        for option, share in (("--ffn", self.ffn), ("--heads", self.heads)):
            if not 0 < share <= 1:
                raise UsageError(f"{option} {share:g}: the share to keep is above 0, at most 1.")
        rates = (self.learning_rate, self.temperature, self.time_limit_s or 1.0)
        weights = (self.hidden_weight, self.relation_weight, self.label_weight)
        if min(self.epochs, self.batch) < 1 or not (
            all(rate > 0 for rate in rates) and all(weight >= 0 for weight in weights)
        ):
            raise UsageError(
                "Epochs and batch are 1 or more; learning rate, temperature and time limit above "
                "zero; weights zero or more."
            )
