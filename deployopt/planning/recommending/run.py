"""One fine-tuning run, with everything that its command line names."""

import msgspec

from deployopt.catalogue.models import Entry
from deployopt.core.memory import Training
from deployopt.core.tasks import ModelTask


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fine-tuning run; `cpu` where no GPU is there."""

    entry: Entry
    task: ModelTask
    training: Training
    accumulation: int
    epochs: int
    learning_rate: float
    warmup_share: float
    examples: int
    cpu: bool = False

    @property
    def folder(self) -> str:
        """Where the tuned model goes."""
        return f"{self.entry.alias}-tuned"
