"""Fresh devices, full ones, and ones that are restarted or exchanged."""

import hashlib
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.errors import (
    StorageError,
    UnreachableError,
)
from deployopt.device.accuracy import evaluate
from deployopt.device.device import ThisMachine
from deployopt.device.protocol import Timed
from deployopt.device.setup import EvaluationSet, Limits
from deployopt.remote.ssh import DEVICE_PYTHON, SSH_CONFIG
from deployopt.remote.ssh_device import connected
from tests.fakes.ssh_rounds import (
    SETUP,
    round_of,
    touch,
    with_weights,
)
from tests.fakes.sshd import MISSING, Sshd, running_sshd, there_is_sshd

pytestmark = pytest.mark.skipif(not there_is_sshd(), reason=MISSING)


@pytest.mark.slow
class TestDevices:
    def test_a_login_shell_that_prints(
        self, client: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "noisy"
        folder.mkdir()
        shell = tmp_path / "shell"
        shell.write_text('#!/bin/sh\necho Welcome; date\neval "$SSH_ORIGINAL_COMMAND"\n')
        shell.chmod(0o755)
        with running_sshd(folder, {}, f"ForceCommand {shell}") as noisy:
            monkeypatch.setenv(SSH_CONFIG, str(noisy.config))
            with connected(noisy.url) as device:
                assert device.machine.cores
        assert client

    def test_a_full_disk(
        self, client: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small = tmp_path / "small"
        small.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", "size=90m", "tmpfs", str(small)]
        if subprocess.run(words, check=False, capture_output=True).returncode:
            pytest.skip("a small disk cannot be mounted here")
        try:
            folder = tmp_path / "full"
            folder.mkdir()
            with running_sshd(folder, {"XDG_CACHE_HOME": str(small)}) as server:
                monkeypatch.setenv(SSH_CONFIG, str(server.config))
                request = msgspec.structs.replace(
                    round_of(tmp_path), setup=with_weights(tmp_path, 60 * 2**20)
                )
                with connected(server.url) as device:
                    with pytest.raises(StorageError, match="does not fit on the disk"):
                        device.ask(request, Limits())
                    assert isinstance(device.ask(round_of(tmp_path), Limits()), Timed)
                monkeypatch.delenv(DEVICE_PYTHON)
                with pytest.raises(UnreachableError, match="the small install needs"):
                    touch(server.url)
        finally:
            subprocess.run(["umount", "-l", str(small)], check=True)
        assert client

    def test_a_fresh_device_without_a_network_is_given_wheels(
        self,
        client: Sshd,
        data: EvaluationSet,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.delenv(DEVICE_PYTHON)
        folder = tmp_path / "fresh"
        folder.mkdir()
        environment = {
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
            "PIP_CONFIG_FILE": "/dev/null",
        }
        here = evaluate(SETUP, data, tmp_path, ThisMachine())
        with running_sshd(folder, environment) as server:
            monkeypatch.setenv(SSH_CONFIG, str(server.config))
            with connected(server.url, packages=["onnxruntime>=1.20.1,!=1.21.0,<2"]) as device:
                there = evaluate(SETUP, data, tmp_path, device)
            root = folder / "cache/deployopt/device"
            first = {path.name: _listing(path) for path in root.glob("env-*")}
            assert len(first) == 1
            with connected(server.url, packages=["onnxruntime>=1.20.1,!=1.21.0,<2"]):
                pass
            assert {path.name: _listing(path) for path in root.glob("env-*")} == first
        assert set(device.machine.packages) == {"deployopt", "numpy", "onnxruntime", "tokenizers"}
        for ours, theirs in zip(here.outputs, there.outputs, strict=True):
            assert np.allclose(ours["logits"], theirs["logits"], rtol=1e-4)
        assert client


def _listing(folder: Path) -> str:
    names = sorted(str(path) for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()
