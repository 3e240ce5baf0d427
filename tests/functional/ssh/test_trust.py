"""Whom a device lets in, whom we believe, and which Python there will do."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployopt.core.errors import (
    UnreachableError,
)
from deployopt.remote.ssh import DEVICE_PYTHON, SSH_CONFIG
from tests.fakes.proxy import running_proxy
from tests.fakes.ssh_rounds import touch
from tests.fakes.sshd import MISSING, Sshd, make_key, running_sshd, there_is_sshd

pytestmark = pytest.mark.skipif(not there_is_sshd(), reason=MISSING)


class TestTrust:
    def test_a_key_that_is_not_accepted(self, client: Sshd, tmp_path: Path) -> None:
        make_key(tmp_path / "other")
        client.write_client()
        text = client.config.read_text(encoding="utf-8")
        client.config.write_text(text.replace(f"{client.folder}/user", f"{tmp_path}/other"))
        with pytest.raises(UnreachableError, match="does not accept this machine's key"):
            touch(client.url)

    def test_a_host_that_is_not_known(self, client: Sshd) -> None:
        (client.folder / "known").write_text("")
        with pytest.raises(UnreachableError, match="is not known here"):
            touch(client.url)
        assert (client.folder / "known").read_text() == ""

    def test_a_host_key_that_changed(self, client: Sshd, tmp_path: Path) -> None:
        make_key(tmp_path / "other")
        key = (tmp_path / "other.pub").read_text(encoding="utf-8")
        (client.folder / "known").write_text(f"[127.0.0.1]:{client.port} {key}")
        with pytest.raises(
            UnreachableError, match="is not the one that this machine knows"
        ) as caught:
            touch(client.url)
        assert f"ssh-keygen -R '[127.0.0.1]:{client.port}'" in str(caught.value)

    def test_nobody_listens(self, client: Sshd) -> None:
        with running_proxy(client.port) as proxy:
            port = proxy.port
        with pytest.raises(UnreachableError, match=r"cannot be reached: .*Connection refused"):
            touch(f"ssh://127.0.0.1:{port}")


class TestPython:
    @pytest.fixture
    def bare(
        self, client: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[tuple[Sshd, Path]]:
        """A device with next to nothing on its path."""
        path = tmp_path / "bin"
        path.mkdir()
        for name in ("sh", "bash", "grep", "head"):
            (path / name).symlink_to(shutil.which(name) or "")
        folder = tmp_path / "bare"
        folder.mkdir()
        with running_sshd(folder, {"PATH": str(path), "HOME": str(path)}) as server:
            monkeypatch.setenv(SSH_CONFIG, str(server.config))
            yield server, path
        assert client

    def test_none_there(self, bare: tuple[Sshd, Path]) -> None:
        with pytest.raises(
            UnreachableError, match=r"no Python that deployopt runs on.*found: none"
        ):
            touch(bare[0].url)

    def test_one_too_old(self, bare: tuple[Sshd, Path]) -> None:
        program = bare[1] / "python3"
        program.write_text('#!/bin/sh\nif [ "$1" = -V ]; then echo Python 3.9.2; fi\nexit 1\n')
        program.chmod(0o755)
        with pytest.raises(UnreachableError, match=r"found: Python 3\.9\.2"):
            touch(bare[0].url)

    def test_the_one_that_is_named_is_not_there(
        self, client: Sshd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(DEVICE_PYTHON, "/nowhere/python")
        with pytest.raises(UnreachableError, match="There is no Python at /nowhere/python"):
            touch(client.url)

    def test_the_one_that_is_named_lacks_the_packages(
        self, client: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True
        )
        monkeypatch.setenv(DEVICE_PYTHON, str(tmp_path / "venv/bin/python"))
        with pytest.raises(UnreachableError, match="No module named"):
            touch(client.url)
