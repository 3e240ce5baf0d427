"""What a bundle's manifest says: every file with its size and digest, and what they are for."""

import msgspec

from deployopt.core.artifact import Precision, RuntimeName, SessionOptions
from deployopt.core.card import CardNote
from deployopt.core.interface import Interface

FORMAT_VERSION = 1


class FileEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One regular file; `path` is relative, posix, normal."""

    path: str
    size_bytes: int
    sha256: str


class LineageStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step that was run: its options, the tools, and the digests that went in and came out."""

    step: str
    version: int
    options: str
    """The step's options as canonical JSON."""
    tools: dict[str, str]
    source: str
    result: str


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a model or data came from: what was asked, what it resolved to, every file's digest."""

    asked: str
    resolved: str
    licence: str | None = None
    files: tuple[FileEntry, ...] = ()


class Lineage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the artifact came to be; no time of day, so that the same build gives the same bytes."""

    model: Origin
    data: Origin | None
    questions: Origin | None = None
    """Of a language model: with choices, by which its accuracy was judged."""
    splits: dict[str, str] = {}
    """Split name to digest; of questions the names begin with `questions/`."""
    recipe: str
    steps: tuple[LineageStep, ...] = ()


class EngineNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a native engine was built for; it is opened nowhere else, and by no other version."""

    builder: str
    version: str
    compute_capability: str
    platform: str
    sha256: str
    ran: bool = False
    """Whether it had run on such a card when the bundle was written."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`manifest.json`; written last. The file lists are of everything else in the folder.

    `deployed` are the files that the device needs to answer; their sum is the artifact's size.
    `bundle_digest` is over `files` less measurements, verdicts and what was learned: the
    same build, the same digest.
    """

    format_version: int = FORMAT_VERSION
    name: str
    made_with: str
    target: str
    outcome: str
    """accepted, provisional, undecided or rejected, as verdict.json says."""
    artifact: str
    """Digest of the model's files."""
    model: str
    """The file that the runtime opens, relative to the bundle."""
    runtime: RuntimeName = "onnxruntime"
    opset: int
    """Of ONNX's own domain; 0 where the model is no ONNX file."""
    precision: Precision
    session: SessionOptions
    engine: EngineNote | msgspec.UnsetType = msgspec.UNSET
    card: CardNote | msgspec.UnsetType = msgspec.UNSET
    """Of a graph for a card; `engine` is of native code only."""
    threads: int
    interface: Interface
    labels_sha256: str
    bundle_digest: str
    deployed: tuple[str, ...]
    files: tuple[FileEntry, ...]
