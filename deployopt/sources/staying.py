"""Staying at home: a block in which nothing is fetched, for whoever only wants to look."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_AT_HOME: Final[ContextVar[bool]] = ContextVar("deployopt_at_home", default=False)


@contextmanager
def nothing_fetched() -> Iterator[None]:
    """Within it what is not in the store raises SourceError, as without a network."""
    token = _AT_HOME.set(True)
    try:
        yield
    finally:
        _AT_HOME.reset(token)


def stays_home() -> bool:
    """Whether nothing may be fetched now."""
    return _AT_HOME.get()
