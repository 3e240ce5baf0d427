"""A signed bundle to try things on; without the extra `sign` nothing here can run."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.signature import Authenticity
from deployopt.signing.authenticate import Policy, authenticate
from deployopt.signing.sign import make_key, sign
from deployopt.store.verifying import verify_bundle
from tests.fakes.signed import tiny_bundle

Check = Callable[..., Authenticity]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here cuts the power, so none waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two pairs, K and L."""
    pytest.importorskip("model_signing")
    folder = tmp_path_factory.mktemp("keys")
    for name in ("K", "L"):
        make_key(folder / name)
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Not signed."""
    return tiny_bundle(tmp_path)


@pytest.fixture
def signed(bundle: Path, keys: Path, tmp_path: Path) -> Path:
    """Release 3, signed with K."""
    sign(bundle, keys / "K", release_seq=3, store=tmp_path / "signers")
    return bundle


@pytest.fixture
def check(keys: Path, tmp_path: Path) -> Check:
    """What a device does first; by default with K's public key."""

    def run(
        folder: Path, key: Path | None = keys / "K.pub", *, allow_rollback: bool = False
    ) -> Authenticity:
        policy = Policy(key=key, store=tmp_path / "device", allow_rollback=allow_rollback)
        return authenticate(folder, verify_bundle(folder), policy, tmp_path)

    return run
