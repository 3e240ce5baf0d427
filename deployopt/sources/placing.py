"""Where on this machine the files lie that were named by a path on another.

In: paths as they were asked for, each with its place here, for a block. Out: the place of a name;
of any other name the path that it says. What is built says the name that was asked for, so that a
bundle is the same wherever it was built.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

_PLACES: Final[ContextVar[Mapping[str, str]]] = ContextVar("deployopt_places")


@contextmanager
def placed(places: Mapping[str, str]) -> Iterator[None]:
    """Within it these names stand for files in these places."""
    token = _PLACES.set(places)
    try:
        yield
    finally:
        _PLACES.reset(token)


def located(name: str) -> Path:
    """Where it lies."""
    return Path(_PLACES.get({}).get(name, name)).expanduser()
