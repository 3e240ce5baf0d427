"""A bundle as the device reads it: digests first, then strict records.

In: a folder. Out: the manifest, the target, the budgets, the gate split with the reference's
answers. Refuses a folder that is not byte for byte what its manifest says.
"""

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from deployopt.core.budget import Budget
from deployopt.core.bundle import Lineage, Manifest
from deployopt.core.card import CUDA
from deployopt.core.codec import decode_json
from deployopt.core.errors import IntegrityError
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.experience import Foreseen
from deployopt.core.measurement import Machine
from deployopt.core.target import Target
from deployopt.core.verdict import Verdict
from deployopt.device.setup import (
    EvaluationSet,
    Setup,
    card_for,
    engines_for,
    threads_here,
    threads_on,
)
from deployopt.store.faults import storage_errors
from deployopt.store.verifying import verify_bundle

REFERENCE: Final = "gate/reference.npz"
_EXAMPLES: Final = ("gate/examples.jsonl", "gate/examples.npz")
_PREDICTIONS: Final = "predictions.json"
_FORECAST: Final = "forecast.json"
_REDUCED: Final = "reduce_range"
_T = TypeVar("_T")


class OpenBundle(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle whose every byte was checked."""

    folder: Path
    manifest: Manifest
    target: Target
    budgets: tuple[Budget, ...]

    @property
    def setup(self) -> Setup:
        """The model as it ships."""
        return Setup(
            artifact=self.manifest.artifact,
            model=self.folder / self.manifest.model,
            session=self.manifest.session,
            threads=threads_here(self.manifest.threads),
            runtime=self.manifest.runtime,
            provider=self.target.runtime.provider,
            outputs=self.manifest.interface.outputs,
            engines=engines_for(self.target, self.manifest.artifact),
        )

    @property
    def needs_card(self) -> bool:
        """Whether nothing but the target's card opens it."""
        return self.manifest.runtime == "tensorrt-rtx" or self.target.runtime.provider != "cpu"

    @property
    def has_stand_in(self) -> bool:
        """Whether its graphs may be asked on a CPU in a card's place; how fast, that never says."""
        on_cuda = self.target.runtime.provider == CUDA and self.manifest.runtime == "onnxruntime"
        return on_cuda and self.manifest.interface.draws

    def setup_on(self, machine: Machine) -> Setup:
        """The model as it ships, on the target's card, with no more threads than cores here."""
        threads = threads_on(machine, self.manifest.threads)
        card = card_for(self.target, machine)
        return msgspec.structs.replace(self.setup, threads=threads, card=card)

    @property
    def size_bytes(self) -> int:
        """The files that the device needs to answer."""
        deployed = set(self.manifest.deployed)
        return sum(f.size_bytes for f in self.manifest.files if f.path in deployed)

    @property
    def gate(self) -> EvaluationSet | None:
        """The gate split; None where the bundle holds no reference answers.

        None of a language model's too, whose gate device/generating/bundled.py reads.
        """
        if self.manifest.interface.generates:
            return None
        listed = {f.path for f in self.manifest.files}
        examples = next((name for name in _EXAMPLES if name in listed), None)
        if examples is None or REFERENCE not in listed:
            return None
        return EvaluationSet(
            interface=self.manifest.interface,
            folder=self.folder,
            examples=self.folder / examples,
            workload=self.target.workload,
        )

    def predictions(self) -> dict[str, Estimate]:
        """What was expected of the target when it was built, by metric."""
        if any(f.path == _PREDICTIONS for f in self.manifest.files):
            return self._read(_PREDICTIONS, dict[str, Estimate])
        checks = self._read("verdict.json", Verdict).checks
        return {
            check.metric: Estimate(
                value=check.observed,
                lower=check.lower,
                upper=check.upper,
                coverage=check.confidence or 0.0,
                basis="as the bundle says",
            )
            for check in checks
            if check.evidence is Evidence.PREDICTED
            and check.observed is not None
            and check.lower is not None
            and check.upper is not None
        }

    def foreseen(self) -> Foreseen | None:
        """The prediction that no experience had corrected; None in bundles without one."""
        if not any(f.path == _FORECAST for f in self.manifest.files):
            return None
        return self._read(_FORECAST, Foreseen)

    def lineage(self) -> Lineage:
        """How it was built."""
        return self._read("lineage.json", Lineage)

    def reduced_range(self) -> bool:
        """Whether its integer weights keep to seven bits."""
        steps = (msgspec.json.decode(step.options.encode()) for step in self.lineage().steps)
        return any(isinstance(step, dict) and step.get(_REDUCED) is True for step in steps)

    def _read(self, name: str, kind: type[_T]) -> _T:
        return _decode(self.folder, name, kind)


def open_bundle(folder: Path) -> OpenBundle:
    """Check every byte, then read.

    Raises:
        IntegrityError: a file is missing, added or changed, or is not of its form; lists them all.
    """
    manifest = verify_bundle(folder)
    listed = {f.path for f in manifest.files}
    wanted = {manifest.model, "target.json", "budgets.json", *manifest.deployed}
    if not wanted <= listed:
        raise IntegrityError(
            f"{folder} is not a whole bundle: {', '.join(sorted(wanted - listed))} is missing from "
            "its manifest. Build it again."
        )
    return OpenBundle(
        folder=folder.absolute(),
        manifest=manifest,
        target=_decode(folder, "target.json", Target),
        budgets=_decode(folder, "budgets.json", tuple[Budget, ...]),
    )


def _decode(folder: Path, name: str, kind: type[_T]) -> _T:
    with storage_errors("reading the bundle", folder / name):
        try:
            data = (folder / name).read_bytes()
        except FileNotFoundError as error:
            raise IntegrityError(f"{folder} has no {name}. Build it again.") from error
    return decode_json(data, kind, where=str(folder / name))
