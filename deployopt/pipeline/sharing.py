"""The share that a build was given: opened before anything is built.

In: the request. Out: the share, or None. One that cannot be reached is an error where a person
named it for this build, and only said where a matrix had reached it before.
"""

from collections.abc import Callable

from deployopt.core.errors import StorageError, UsageError
from deployopt.core.request import BuildRequest
from deployopt.store.share import Share, open_share
from deployopt.store.share_sweeping import DAY_S, Swept, sweep
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


def seen_share(url: str | None) -> Share | None:
    """The share, to be looked at and nothing more; raises as `share_of`."""
    return None if url is None else open_share(url, lambda _: None, begin=False)


def swept(url: str, *, now_s: float, days: int, dry_run: bool) -> Swept:
    """Remove what was put there so many days before `now_s`, in seconds since 1970.

    Raises:
        UsageError: it is no share.
        StorageError: it cannot be reached, read, or written.
    """
    share = open_share(url, lambda _: None, begin=False)
    if not share.begun:
        raise UsageError(
            f"--share {share.place.shown}: no build has put anything there, so nothing is removed. "
            "Look at its name."
        )
    return sweep(share.place, now_s=now_s, older_s=days * DAY_S, dry_run=dry_run)


def said_of_share(store: Store) -> tuple[str, ...]:
    """What went wrong with it, for the result."""
    return () if store.share is None else tuple(store.share.said)
