"""What would hold up others is done beside them, in order, and its errors are raised to them."""

import threading
import time
from collections.abc import Iterator

import pytest

from deployopt.core.errors import StorageError
from deployopt.pipeline.matrix.aside import Aside


@pytest.fixture
def aside() -> Iterator[Aside[str, int]]:
    made: Aside[str, int] = Aside()
    yield made
    made.leave()


def all_of(aside: Aside[str, int]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    end = time.monotonic() + 10
    while aside.busy and time.monotonic() < end:
        found += aside.done()
        time.sleep(0.001)
    return found


def test_nobody_waits_and_the_order_is_kept(aside: Aside[str, int]) -> None:
    go = threading.Event()

    def slow() -> int:
        return int(go.wait(10))

    assert not aside.busy
    aside.do("a", slow)
    aside.do("b", lambda: 2)
    assert (list(aside.done()), aside.busy) == ([], True)
    go.set()
    assert all_of(aside) == [("a", 1), ("b", 2)]
    assert not aside.busy


@pytest.mark.parametrize("kind", [StorageError, ValueError])
def test_an_error_is_raised_where_it_is_asked_for(
    aside: Aside[str, int], kind: type[Exception]
) -> None:
    def fails() -> int:
        raise kind("The share is full.")

    aside.do("a", fails)
    aside.do("b", lambda: 2)
    with pytest.raises(kind, match="The share is full"):
        all_of(aside)
    assert all_of(aside) == [("b", 2)]


def test_what_was_not_begun_is_left(aside: Aside[str, int]) -> None:
    go, begun = threading.Event(), threading.Event()
    ran: list[int] = []

    def slow() -> int:
        begun.set()
        return int(go.wait(10))

    def later() -> int:
        ran.append(1)
        return 1

    aside.do("a", slow)
    aside.do("b", later)
    assert begun.wait(10)
    aside.leave()
    go.set()
    end = time.monotonic() + 10
    while aside._thread is not None and aside._thread.is_alive() and time.monotonic() < end:
        time.sleep(0.001)
    assert ran == []
