"""The share that a build was given: opened before anything is built.

In: the request. Out: the share, or None. One that cannot be reached is an error where a person
named it for this build, and only said where a matrix had reached it before.
"""

from collections.abc import Callable

from deployopt.core.errors import StorageError
from deployopt.core.request import BuildRequest
from deployopt.store.share import Share, open_share
from deployopt.store.store import Store


def share_of(request: BuildRequest, tell: Callable[[str], None]) -> Share | None:
    """The share, reached.

    Raises:
        UsageError: it is no place that can be shared.
        MissingExtraError: what reaches it is not installed.
        StorageError: it is needed and cannot be reached.
    """
    if request.share is None:
        return None
    try:
        return open_share(request.share, tell)
    except StorageError as error:
        if request.share_needed:
            raise
        tell(f"This build goes on without the share. {error}")
        return None


def require_share(url: str | None) -> None:
    """Find out before many builds that one is not there; raises as `share_of`."""
    if url is not None:
        open_share(url, lambda _: None)


def said_of_share(store: Store) -> tuple[str, ...]:
    """What went wrong with it, for the result."""
    return () if store.share is None else tuple(store.share.said)
