"""What is said between a call, the process that speaks to Ray for it, and the nodes: JSON, no more.

Nothing is pickled on the way to a node but these bytes, and nothing else comes back.
"""

from typing import TypeVar, cast

import msgspec

from deployopt.core.bundle import FileEntry
from deployopt.core.codec import decode_json
from deployopt.core.matrix import CellRequest
from deployopt.pipeline.matrix.child import Start
from deployopt.pipeline.matrix.messages import Told


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line to the process: which cluster, and how cells are run there."""

    address: str | None = None
    """`auto` or `HOST:PORT`; None: one of our own on this machine."""
    jobs: int
    """Cores of our own one."""
    folder: str
    """Of our own one's sessions and sockets."""
    start: Start
    share: str | None = None
    """A place by URL that stands for folders in common."""
    shared: dict[str, str]
    """Files of ours, and what stands in them; with a share they lie in that."""
    versions: dict[str, str]
    """Of what decides results: every node must have them."""
    niceness: int
    """Of a cell's process."""


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every other line to the process: a cell to run, rather not on these nodes."""

    cell: CellRequest
    avoid: tuple[str, ...] = ()
    inputs: dict[str, str] = {}
    """Digests of what it names by path, which must be the same there."""
    files: dict[str, tuple[FileEntry, ...]] = {}
    """Of these paths, in the share: a node that does not have them brings them."""


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a node gets: a cell, and how it is run."""

    cell: CellRequest
    start: Start
    share: str | None = None
    shared: dict[str, str]
    inputs: dict[str, str]
    files: dict[str, tuple[FileEntry, ...]] = {}
    turn: str = ""
    """By which the cell's turns on its boards are kept; empty where it has none."""
    niceness: int
    """The driver's: a measurement must not yield to everybody because Ray's workers do."""


class Look(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a node is asked before it gets anything: files to read, and where to answer."""

    files: tuple[str, ...]
    share: str | None = None
    packages: tuple[str, ...]


class Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a node found: what stands in the files, and its versions."""

    files: dict[str, str]
    wrong: dict[str, str]
    """Files that it could not read, or beside which it could not write, and why."""
    versions: dict[str, str]


class Ready(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ready"):
    """The cluster answers; its nodes and cores."""

    nodes: tuple[str, ...]
    cores: int


class Refused(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="no"):
    """The cluster cannot be used at all; `ours`: by what the person who asked can change."""

    reason: str
    ours: bool


class Began(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="began"):
    """A node has begun a cell."""

    cell: str
    node: str


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="said"):
    """What the cell's process said."""

    cell: str
    message: Told


class Done(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="done"):
    """A cell's result as it came: whoever hears it judges whether it is one."""

    cell: str
    node: str
    result: msgspec.Raw
    files: tuple[FileEntry, ...] = ()
    """What it names, where that is in a share."""


class Lost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="lost"):
    """A cell came to no result on this node."""

    cell: str
    node: str
    reason: str


class Unfit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="unfit"):
    """No node can ever run the cell."""

    cell: str
    reason: str


FromNode = Said | Done | Lost | Began
Event = Ready | Refused | Began | Said | Done | Lost | Unfit
_T = TypeVar("_T")


def decode_event(data: bytes) -> Event:
    """A line from the process that speaks to Ray; raises IntegrityError where it is none."""
    return decode(data, cast("type[Event]", Event))


def decode_word(data: bytes) -> FromNode:
    """What a node said; raises IntegrityError where it is none of its words."""
    return decode(data, cast("type[FromNode]", FromNode))


def decode(data: bytes, kind: type[_T]) -> _T:
    """Read a word; raises IntegrityError where it is not of this form."""
    return decode_json(data, kind, where="What a node of the cluster said")
