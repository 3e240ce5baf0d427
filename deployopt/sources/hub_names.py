"""`hub:ORG/NAME@REVISION` and `hub:datasets/ORG/NAME@REVISION:FILE`, read strictly."""

import re
from typing import Final, Literal

import msgspec

from deployopt.core.errors import UsageError

PREFIX: Final = "hub:"
_DATASETS: Final = "datasets/"
_PART: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
_REPOSITORY: Final = re.compile(rf"{_PART}/{_PART}")
_REVISION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=-]*(/[A-Za-z0-9_][A-Za-z0-9._+=-]*)*")


class HubName(msgspec.Struct, frozen=True, kw_only=True):
    """A repository, and what of it."""

    repository: str
    kind: Literal["model", "dataset"] = "model"
    revision: str | None = None
    file: str | None = None

    @property
    def written(self) -> str:
        """Without revision and file, as a person writes it."""
        return f"{PREFIX}{_DATASETS if self.kind == 'dataset' else ''}{self.repository}"


def parse_hub_name(text: str) -> HubName:
    """Read the name.

    Raises:
        UsageError: it is not of the form.
    """
    rest = text.removeprefix(PREFIX)
    kind: Literal["model", "dataset"] = "dataset" if rest.startswith(_DATASETS) else "model"
    rest = rest.removeprefix(_DATASETS)
    rest, _, file = rest.partition(":")
    repository, _, revision = rest.partition("@")
    good = (
        _fits(_REPOSITORY, repository)
        and (not revision or _fits(_REVISION, revision))
        and (not file or (kind == "dataset" and _fits(_FILE, file)))
        and not rest.endswith("@")
    )
    if not good:
        raise UsageError(
            f"{text!r} is not a name on the hub. A model is hub:ORG/NAME or hub:ORG/NAME@REVISION; "
            "data is hub:datasets/ORG/NAME, with @REVISION and :FILE behind where needed."
        )
    return HubName(repository=repository, kind=kind, revision=revision or None, file=file or None)


def _fits(form: re.Pattern[str], text: str) -> bool:
    return form.fullmatch(text) is not None and ".." not in text
