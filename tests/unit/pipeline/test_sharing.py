"""The share that a build was given is reached before anything is built."""

from pathlib import Path

import pytest

from deployopt.core.errors import StorageError, UsageError
from deployopt.core.request import BuildRequest
from deployopt.pipeline.sharing import require_share, said_of_share, share_of
from deployopt.planning.targets import load_target
from deployopt.store.share import Share
from deployopt.store.store import Store
from tests.fakes.shares import wrong_urls

pytest.importorskip("fsspec")


def request(share: str | None, *, needed: bool = True) -> BuildRequest:
    return BuildRequest(model="m", target=load_target("rpi4"), share=share, share_needed=needed)


def test_without_one_nothing_is_opened() -> None:
    assert share_of(request(None), pytest.fail) is None
    require_share(None)


def test_what_goes_wrong_is_in_the_result(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        assert said_of_share(store) == ()
        store.share = share_of(request(str(tmp_path)), lambda _: None)
        assert isinstance(store.share, Share)
        store.share.said.append("It was lost.")
        assert said_of_share(store) == ("It was lost.",)


def test_one_that_is_not_there_is_an_error_once(tmp_path: Path) -> None:
    said: list[str] = []
    with wrong_urls() as faults:

        def lost(what: str, path: str) -> None:
            raise ConnectionRefusedError(f"{what} {path}")

        faults[0] = lost
        url = f"wrong://{tmp_path}"
        with pytest.raises(StorageError, match=f"The share at {url} cannot be used"):
            share_of(request(url), said.append)
        with pytest.raises(StorageError):
            require_share(url)
        assert share_of(request(url, needed=False), said.append) is None
    assert said[0].startswith("This build goes on without the share. The share at wrong://")
    with pytest.raises(UsageError):
        require_share(str(tmp_path / "nothing"))
