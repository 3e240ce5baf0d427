"""What `export` is asked, and what it wrote for other programs to serve."""

from pathlib import Path

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.bundle import FileEntry
from deployopt.core.evidence import Estimate
from deployopt.core.target import Target


class ExportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`source` is a model's name, or the folder of a bundle."""

    source: str
    form: str
    output: Path
    target: Target | None = None
    precision: Precision | None = None
    """None: the highest that fits the target, or what is usual in the form."""
    context: int | None = None
    """Tokens of prompt and answer; None: as many as the model has and the target holds."""
    key: Path | None = None
    """The public key that has to vouch for a bundle."""
    lock: Path | None = None
    store: Path | None = None
    name: str | None = None
    """Of the model in Triton; None: the bundle's."""
    wheel: Path | None = None
    """deployopt itself, for an image; None: the package of this version from an index."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What one form wrote."""

    model: str
    """The class, as its config names it; or the bundle, with its verdict."""
    precision: Precision
    files: tuple[FileEntry, ...]
    settings: dict[str, str | int | float] = {}
    predicted: dict[str, Estimate] = {}
    evidence: tuple[str, ...] = ()
    start: str | None = None
    todo: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    exit_code: int = 0


class ExportResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files for another program; nothing of them has run here."""

    schema_version: int = 1
    form: str
    source: str
    output: str
    target: str | None
    model: str
    """The class, as its config names it; or the bundle, with its verdict."""
    precision: Precision
    files: tuple[FileEntry, ...]
    settings: dict[str, str | int | float] = {}
    """What the program is told, by its own names."""
    predicted: dict[str, Estimate] = {}
    """memory_bytes (of one device), ttft_s, decode_tps; by arithmetic."""
    evidence: tuple[str, ...] = ()
    """Of a bundle: a line a budget, with what was found and how it is known."""
    start: str | None = None
    """The command that serves it, where that program is installed."""
    todo: tuple[str, ...] = ()
    """What has to be done elsewhere before it can be served."""
    warnings: tuple[str, ...] = ()
    exit_code: int
