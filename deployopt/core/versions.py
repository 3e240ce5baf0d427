"""Runtime versions and ranges of them, as in `>=1.20.1,!=1.21.0,<2`.

In: text. Out: whether a version is inside a range, and the highest opset that a version reads.
Refuses (ValueError) anything but numbers with dots behind one of six signs: the small install has
no `packaging`, and a target file needs no more.
"""

import operator
import re
from collections.abc import Callable
from typing import Final, NamedTuple

_VERSION: Final = re.compile(
    r"(?P<release>\d{1,6}(?:\.\d{1,6}){0,3})"
    r"(?P<early>\.?(?:dev|a|b|rc)\d{0,9})?(?:\.post\d{1,6})?(?:\+[a-z0-9.]{1,32})?"
)
_CLAUSE: Final = re.compile(r"(?P<sign>>=|<=|==|!=|>|<)\s*(?P<version>\d{1,6}(?:\.\d{1,6}){0,3})")
_EXAMPLE: Final = '">=1.20.1,!=1.21.0,<2"'
_LONGEST: Final = 200


class Version(NamedTuple):
    """Compares as versions do: 1.20 is 1.20.0, and 1.21.0rc1 comes before 1.21.0."""

    release: tuple[int, ...]
    final: bool = True


class Clause(NamedTuple):
    """One bound of a range."""

    sign: str
    version: Version

    def holds(self, found: Version) -> bool:
        """Whether `found` is on the right side of this bound."""
        return _SIGNS[self.sign](found, self.version)


_SIGNS: Final[dict[str, Callable[[Version, Version], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


def parse_version(text: str) -> Version:
    """Read `1.22.0`, `1.23.0.dev20250801` or `1.20.1+cpu`; raise ValueError on anything else."""
    match = _VERSION.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a version such as 1.22.0")
    return Version(_release(match["release"]), match["early"] is None)


def parse_range(text: str) -> tuple[Clause, ...]:
    """Read a range; raise ValueError when it is not one."""
    if len(text) > _LONGEST:
        raise ValueError(f"a version range has at most {_LONGEST} characters")
    clauses = []
    for part in text.split(","):
        match = _CLAUSE.fullmatch(part.strip())
        if match is None:
            raise ValueError(
                f"{part.strip()!r} is not a bound on a version; write for example {_EXAMPLE}"
            )
        clauses.append(Clause(match["sign"], Version(_release(match["version"]))))
    return tuple(clauses)


def matches(version: str, ranges: str) -> bool:
    """Whether `version` satisfies every bound; ValueError when either cannot be read."""
    found = parse_version(version)
    return all(clause.holds(found) for clause in parse_range(ranges))


def lowest(ranges: str) -> Version | None:
    """The version that the range starts at, or None where it has no lower bound."""
    starts = [c.version for c in parse_range(ranges) if c.sign in {">=", ">", "=="}]
    return max(starts, default=None)


# The opset of the default domain that each minor release of ONNX Runtime 1.x implements first:
# its documentation, docs/Versioning.md and the table of compatibility.
_OPSETS: Final[tuple[tuple[int, int], ...]] = (
    (8, 14),
    (10, 15),
    (12, 17),
    (14, 18),
    (15, 19),
    (17, 20),
    (18, 21),
    (21, 22),
    (22, 23),
)


def opset_read_by(version: Version) -> int:
    """The highest opset that this ONNX Runtime surely reads; later releases are not lower."""
    major, minor, *_ = (*version.release, 0, 0)
    if major != 1:
        return _OPSETS[-1][1] if major > 1 else 11
    return max((opset for since, opset in _OPSETS if since <= minor), default=11)


def _release(text: str) -> tuple[int, ...]:
    numbers = [int(part) for part in text.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
