"""Models known by a short name: what they are, what they are good for, where the hub keeps them.

In: `models.toml`, which stands beside this file, read strictly and once. Out: entries, by task or
by alias. No network: an entry carries the shape of its model.
"""

import difflib
import functools
import tomllib
from pathlib import Path
from typing import Final, Literal

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.explain import explain
from deployopt.core.plan import Operation
from deployopt.core.tasks import ModelTask
from deployopt.core.text import safe_text

DEMO: Final = "demo-sentiment"
DEMO_CHAT: Final = "demo-chat"
PAGE: Final = "docs/models.md"
FILE: Final = Path(__file__).with_name("models.toml")
Tier = Literal["light", "middle", "large"]
_LOWER_IS_BETTER: Final = frozenset({"WER", "FID", "perplexity"})
_NEAREST: Final = 8
_SHOWN: Final = 12
_NAME: Final = 80


class Quality(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published figure, in per cent unless the metric says otherwise."""

    metric: str
    value: float
    data: str
    source: str
    task: ModelTask | None = None
    """What it is a figure of; None: of the entry's first task."""

    @property
    def lower_is_better(self) -> bool:
        """Whether less of it is better, as with word error rates."""
        return self.metric in _LOWER_IS_BETTER


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model. `operations` and `activations` are of one item and beside what `config` says."""

    alias: str
    title: str
    tasks: tuple[ModelTask, ...]
    """The first is what its weights do; others it can be fine-tuned for, or does as well."""
    tier: Tier
    family: str
    repository: str | None = None
    """None: needs no hub, or is not on it."""
    revision: str | None = None
    parameters: int
    size_bytes: int
    """Of the weights as the hub keeps them."""
    licence: str
    commercial: bool | None = None
    """Whether the licence allows commercial use; None where it is not clear."""
    quality: tuple[Quality, ...] = ()
    smaller: tuple[str, ...] = ()
    """Aliases for the same task that cost less; of a classifier, with the same labels."""
    students: tuple[str, ...] = ()
    """Aliases that it can be distilled into: the same labels, or the same tokenizer."""
    least_examples: int
    """Labelled examples below which fine-tuning it makes little sense: a rule of thumb."""
    config: dict[str, object] = {}
    """What of its config.json the shape follows from."""
    operations: tuple[Operation, ...] = ()
    activations: int = 0
    """The most elements alive at once in `operations`."""
    image_size: int | None = None
    context: int | None = None
    """Tokens that it takes at most."""
    buildable: bool = False
    """Whether `build` takes it as it comes."""
    data: str | None = None
    accuracy: float | None = None
    """Share right that the model's page states for the gate's files of `data`."""
    accuracy_examples: int = 0
    variants: dict[str, str] = {}
    """Further aliases of the same shape, each with its repository."""

    def quality_of(self, task: ModelTask) -> Quality | None:
        """The first published figure for this task."""
        first = self.tasks[0]
        return next((found for found in self.quality if (found.task or first) is task), None)


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    models: tuple[Entry, ...]


def read_models(text: str, *, where: str) -> tuple[Entry, ...]:
    """The entries of a TOML text.

    Raises:
        UsageError: it is not TOML, or a key is unknown, missing or of the wrong kind.
    """
    try:
        return msgspec.convert(tomllib.loads(text), _Table).models
    except msgspec.ValidationError as error:
        message = explain(str(error), _Table)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
    raise UsageError(f"{where}: {message}.")


def entries(task: ModelTask | None = None) -> tuple[Entry, ...]:
    """All entries, or those that serve a task, in the catalogue's order."""
    return tuple(entry for entry in _entries() if task is None or task in entry.tasks)


def aliases() -> tuple[str, ...]:
    """Every name that `find_entry` knows, variants too, sorted."""
    return tuple(sorted(_by_alias()))


def find_entry(name: str) -> Entry:
    """The entry of an alias or a variant, whatever its case.

    Raises:
        UsageError: no such alias; names the nearest ones, and where all of them stand.
    """
    entry = _by_alias().get(name.casefold())
    if entry is not None:
        return entry
    known = aliases()
    close = difflib.get_close_matches(name.casefold()[:_NAME], known, n=_NEAREST, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    common = [e.alias for e in _entries() if e.buildable and e.alias not in close]
    shown = sorted([*close, *common][:_SHOWN])
    raise UsageError(
        f"There is no model {safe_text(name, _NAME)!r}: it is no alias, no folder and no .onnx "
        f"file.{hint} Among the {len(known)} aliases are {', '.join(shown)}; {PAGE} lists them "
        "all. A model of the hub is written hub:ORG/NAME or hub:ORG/NAME@REVISION."
    )


@functools.cache
def _entries() -> tuple[Entry, ...]:
    return read_models(FILE.read_text("utf-8"), where=FILE.name)


@functools.cache
def _by_alias() -> dict[str, Entry]:
    found = {entry.alias: entry for entry in _entries()}
    for entry in _entries():
        for alias, repository in entry.variants.items():
            found[alias] = msgspec.structs.replace(
                entry,
                alias=alias,
                title=f"{entry.title}, as {repository.partition('/')[2]}",
                repository=repository,
                revision=None,
                quality=(),
                variants={},
            )
    return found
