"""Reading a `config.json` strictly: every value is checked where it is taken.

In: the mapping as JSON gave it. Out: whole numbers inside sensible bounds, flags, texts. A value
that cannot be is a `UsageError` with its key path and what may stand there.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.errors import UsageError
from deployopt.core.text import safe_text

BY_HAND: Final = (
    "--params 7B --layers 32 --hidden 4096 --heads 32 --kv-heads 8 --ffn 11008 --vocabulary 32000"
)
SIZE: Final = 1 << 24
"""The largest width; deep and wide bounds keep every product a number that means something."""
LAYERS: Final = 4096
HEADS: Final = 1 << 16
VOCABULARY: Final = 1 << 26
TOKENS: Final = 1 << 30
_DEEPEST: Final = 4
_MAIN: Final = frozenset(
    {
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "vocab_size",
        "d_model",
        "encoder_layers",
        "decoder_layers",
        "num_layers",
        "d_ff",
    }
)
_SHOWN: Final = 40
_LONGEST_NUMBER: Final = 10**20
_LONGEST_LIST: Final = 1 << 17


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a config; `path` leads to it, `also` are a family's own names of usual keys."""

    values: Mapping[str, object]
    path: str = ""
    also: Mapping[str, str] = {}
    depth: int = 0
    silent: set[str] = set()
    """Main sizes that were asked for and are not there; all parts of a config write here."""

    def named(self, **also: str | tuple[str, ...]) -> "Keys":
        """The same where usual keys have other names: the first that is there, else the first."""
        chosen = {}
        for usual, names in also.items():
            several = (names,) if isinstance(names, str) else names
            known = (name for name in (*several, usual) if name in self.values)
            chosen[usual] = next(known, several[0])
        return msgspec.structs.replace(self, also={**self.also, **chosen})

    def has(self, name: str) -> bool:
        """Whether the key is there and is not null."""
        return self.values.get(self.also.get(name, name)) is not None

    def whole(
        self, name: str, default: int | None = None, *, least: int = 1, most: int = SIZE
    ) -> int:
        """A whole number from `least` to `most`; missing or null is the default.

        Raises:
            UsageError: it is something else, or missing without a default.
        """
        key = self.also.get(name, name)
        value = self.values.get(key)
        if value is None:
            if default is None:
                raise self._missing(key)
            if default and name in _MAIN:
                self.silent.add(f"{self.path}{key}")
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(key, f"a whole number from {least} to {most}")
        return value

    def optional(self, name: str, default: int | None = None, *, most: int = TOKENS) -> int | None:
        """A whole number above 0, or None where null or 0 is written; missing is the default."""
        key = self.also.get(name, name)
        if key not in self.values:
            return default
        return self.whole(name, 0, least=0, most=most) or None

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        """A finite number from `least` to `most`; missing or null is the default."""
        key = self.also.get(name, name)
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, f"a number from {least} to {most}")
        if not least <= value <= most:
            raise self.wrong(key, f"a number from {least} to {most}")
        return float(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false; missing or null is the default."""
        key = self.also.get(name, name)
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def text(self, name: str, default: str = "") -> str:
        """Text; missing or null is the default."""
        key = self.also.get(name, name)
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(key, "text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; missing or null is empty."""
        found = self.items(name)
        if not all(isinstance(item, str) for item in found):
            raise self.wrong(name, "a list of texts")
        return tuple(str(item) for item in found)

    def wholes(
        self, name: str, default: tuple[int, ...] = (), *, least: int = 1, most: int = SIZE
    ) -> tuple[int, ...]:
        """A list of whole numbers from `least` to `most`; missing or null is the default."""
        key = self.also.get(name, name)
        if not self.has(name):
            return default
        found = []
        for item in self.items(name):
            if isinstance(item, bool) or not isinstance(item, int) or not least <= item <= most:
                raise self.wrong(key, f"a list of whole numbers from {least} to {most}")
            found.append(item)
        return tuple(found)

    def part(self, name: str) -> "Keys | None":
        """A nested config, or None without it."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping) or self.depth >= _DEEPEST:
            raise self.wrong(name, f"a config, at most {_DEEPEST} deep")
        return Keys(
            values=value, path=f"{self.path}{name}.", depth=self.depth + 1, silent=self.silent
        )

    def labels(self, default: int = 2) -> int:
        """Outputs of a classifier: `id2label`'s entries or `num_labels`."""
        named = self.values.get("id2label")
        if isinstance(named, Mapping) and named:
            return len(named)
        return self.whole("num_labels", default, least=0)

    def wrong(self, key: str, wanted: str) -> UsageError:
        """The error about a value that cannot be."""
        value = self.values.get(key)
        said = "nothing" if value is None else show(value)
        return UsageError(
            f"The model's config says {said} for {self.path}{key}, but {wanted} is needed there. "
            f"Correct the config, or give the sizes by hand: {BY_HAND}"
        )

    def _missing(self, key: str) -> UsageError:
        return UsageError(
            f"The model's config does not say {self.path}{key}. Complete the config, or give the "
            f"sizes by hand: {BY_HAND}"
        )

    def items(self, name: str) -> tuple[object, ...]:
        """A list, its entries unchecked; missing or null is empty."""
        key = self.also.get(name, name)
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or len(value) > _LONGEST_LIST:
            raise self.wrong(key, f"a list of at most {_LONGEST_LIST} entries")
        return tuple(value)


def show(value: object) -> str:
    """A value from outside in a few characters, however long or deep it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) > _LONGEST_NUMBER:
        return "a number of more than 20 digits"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return f'"{safe_text(value, _SHOWN)}"'
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else f"a {type(value).__name__}"


Readers = Mapping[str, Callable[[Keys], Architecture]]
"""Families by their `model_type`, each with what reads its config."""
