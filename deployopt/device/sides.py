"""The two that are compared: how each runs, what each may be asked, and whether they can be.

In: a checked bundle. Out: a side. Refuses two that answer different questions.
"""

import msgspec

from deployopt.core.comparison import Compared
from deployopt.core.errors import UsageError
from deployopt.core.interface import Interface
from deployopt.core.measurement import Machine
from deployopt.core.target import Target
from deployopt.core.text import name_list, safe_text
from deployopt.device.accuracy import Evaluation
from deployopt.device.bundle_reader import REFERENCE, OpenBundle
from deployopt.device.reference import Reference, decode_reference
from deployopt.device.setup import EvaluationSet, Setup


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two, ready to be run, whatever is asked of it."""

    told: Compared
    target: Target
    setup: Setup
    files: dict[str, str]
    """What is deployed: path to sha256."""
    reduced_range: bool

    def is_same_model(self, other: "Contender") -> bool:
        """Whether both are the same files, opened in the same way."""
        mine, theirs = self.setup, other.setup
        return (
            self.files == other.files
            and mine.session == theirs.session
            and (mine.runtime, mine.provider) == (theirs.runtime, theirs.provider)
            and mine.threads == theirs.threads
        )


class Side(Contender, frozen=True, kw_only=True):
    """A classifier, or a graph of unknown meaning."""

    data: EvaluationSet
    """Its own gate split, in the form that its own model reads."""
    data_digest: str
    reference: Reference
    """The reference's answers to it."""
    synthetic: bool
    evaluation: Evaluation | None = None
    """Its answers to its own gate split, where they are known already."""

    @property
    def interface(self) -> Interface:
        """What it takes and answers."""
        return self.data.interface


def side_of(bundle: OpenBundle, machine: Machine) -> Side:
    """A bundle as it runs on this machine.

    Raises:
        UsageError: it holds no gate split, so that it cannot be asked anything.
    """
    manifest, data = bundle.manifest, bundle.gate
    if data is None:
        raise without_gate(bundle)
    digests = {file.path: file.sha256 for file in manifest.files}
    return Side(
        told=told_of(bundle),
        target=bundle.target,
        setup=bundle.setup_on(machine),
        data=data,
        data_digest=digests[data.examples.relative_to(bundle.folder).as_posix()],
        reference=decode_reference(bundle.folder / REFERENCE),
        files={path: digests[path] for path in manifest.deployed},
        reduced_range=bundle.reduced_range(),
        synthetic=bundle.lineage().data is None,
    )


def named(bundle: OpenBundle) -> tuple[str, Interface]:
    """For `require_comparable`."""
    return bundle.manifest.name, bundle.manifest.interface


def told_of(bundle: OpenBundle) -> Compared:
    """What a reader is told of it."""
    manifest = bundle.manifest
    return Compared(
        name=manifest.name,
        bundle=str(bundle.folder),
        artifact=manifest.artifact,
        target=manifest.target,
        outcome=manifest.outcome,
        precision=manifest.precision,
        runtime=manifest.runtime,
        size_bytes=bundle.size_bytes,
    )


def without_gate(bundle: OpenBundle) -> UsageError:
    """Of a bundle that cannot be asked anything."""
    return UsageError(
        f"{bundle.folder} holds no gate split, so there is nothing to compare it by. Build it "
        "again."
    )


def require_comparable(old: tuple[str, Interface], new: tuple[str, Interface]) -> None:
    """Both must be asked the same and answer in the same terms; each is given with its name.

    Raises:
        UsageError: they do not; says in what.
    """
    there, here = old[1], new[1]
    found = None
    if here.task is not there.task:
        found = f"the task of the old one is {there.task.value}, of the new one {here.task.value}"
    elif type(here.inputs) is not type(there.inputs):
        found = f"the old one takes {_kind(there)} and the new one {_kind(here)}"
    elif here.labels != there.labels:
        found = (
            f"the labels of the old one are {name_list(there.labels)}, of the new one "
            f"{name_list(here.labels)}"
        )
    elif not here.classifies and here.outputs != there.outputs:
        found = (
            f"the old one answers {name_list(there.outputs)} and the new one "
            f"{name_list(here.outputs)}"
        )
    if found is not None:
        raise UsageError(
            f"{safe_text(old[0])} and {safe_text(new[0])} cannot be compared: {found}. Name two "
            "that answer the same question."
        )


def same_model(old: Side, new: Side) -> bool:
    """Whether both are the same files, opened and asked in the same way."""
    return old.is_same_model(new) and old.interface == new.interface


def notes_of(old: Side, new: Side) -> tuple[str, ...]:
    """What a reader has to know of how they differ."""
    if old.data_digest == new.data_digest:
        return notes_between(old, new, same=same_model(old, new))
    apart = (
        f"Their gate splits differ: both answered the new one's, {len(new.reference):,} examples. "
        "Whether the old one was made with some of them is not known here."
    )
    return notes_between(old, new, apart, same=same_model(old, new))


def notes_between(old: Contender, new: Contender, *asked: str, same: bool) -> tuple[str, ...]:
    """How two differ, with what there is to say of what they are `asked`."""
    found = ["Both are the same model: what differs is the machine's own noise."] if same else []
    if old.told.target != new.told.target:
        found.append(
            f"The old one was built for {old.told.target}; both are measured here, each with its "
            "own settings."
        )
    found += asked
    if old.told.outcome != "accepted":
        found.append(f"The old one is itself not accepted but {old.told.outcome}.")
    return tuple(found)


def _kind(interface: Interface) -> str:
    return f"{type(interface.inputs).__name__.removesuffix('Inputs').casefold()} inputs"
