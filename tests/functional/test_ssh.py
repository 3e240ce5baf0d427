"""A device that is reached over a real sshd on loopback, with links that are slow or break."""

import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from deployopt.core.errors import (
    DeployoptError,
    DeviceError,
    IntegrityError,
    StorageError,
    UnreachableError,
    UsageError,
)
from deployopt.core.examples import Examples, encode_examples
from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.core.samples import encode_samples
from deployopt.device.accuracy import evaluate
from deployopt.device.device import ThisMachine
from deployopt.device.protocol import Timed, TimeRequest, Working, frame
from deployopt.device.setup import EvaluationSet, Limits, Setup
from deployopt.remote import ssh_device
from deployopt.remote.ssh import DEVICE_PYTHON, SSH_CONFIG
from deployopt.remote.ssh_device import connected
from tests.fakes.proxy import running_proxy
from tests.fakes.sshd import MISSING, Sshd, make_key, running_sshd, there_is_sshd, wait_for

pytestmark = pytest.mark.skipif(not there_is_sshd(), reason=MISSING)
ASSETS = Path(__file__).parents[1] / "assets"
SETUP = Setup(artifact="a" * 64, model=ASSETS / "text.onnx", threads=1, outputs=("logits",))
BIG = 24 * 2**20
_ASKING = """
import sys
from deployopt.device.protocol import decode_request
from deployopt.device.setup import Limits
from deployopt.remote.ssh_device import connected
with connected(sys.argv[1]) as device:
    device.ask(decode_request(open(sys.argv[2], "rb").read()), Limits())
"""
Through = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A device whose cache is the test's."""
    folder = tmp_path_factory.mktemp("sshd")
    with running_sshd(folder, {"XDG_CACHE_HOME": str(folder / "cache")}) as server:
        yield server


@pytest.fixture
def client(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sshd:
    """This machine, with the keys for the device, and a Python there that has all it needs."""
    sshd.know_host()
    sshd.write_client()
    monkeypatch.setenv(SSH_CONFIG, str(sshd.config))
    monkeypatch.setenv(DEVICE_PYTHON, sys.executable)
    monkeypatch.setenv("DEPLOYOPT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(ssh_device, "DELAYS_S", (0.1, 0.2, 0.5))
    return sshd


@pytest.fixture
def data(tmp_path: Path) -> EvaluationSet:
    lot = random.Random(2)  # noqa: S311 -- texts, not secrets
    words = "a bad boring film fine fun good great sad the warm".split()  # noqa: SIM905
    texts = Examples(inputs=[" ".join(lot.choices(words, k=9)) for _ in range(60)], labels=None)
    suffix, found = encode_examples(texts)
    path = tmp_path / f"examples{suffix}"
    path.write_bytes(found)
    interface = Interface(
        task=Task.TEXT_CLASSIFICATION,
        inputs=TextInputs(max_length=32),
        outputs=("logits",),
        labels=("bad", "good"),
    )
    return EvaluationSet(interface=interface, folder=ASSETS, examples=path)


def _round(tmp_path: Path, seconds: float = 0.1) -> TimeRequest:
    # A round has at most so many requests, and lasts only where each takes some milliseconds.
    ids = np.ones((1, 8) if seconds < 1 else (800, 32), dtype=np.int64)
    feed = {"input_ids": ids, "attention_mask": ids}
    path = tmp_path / f"feeds-{seconds}.npz"
    if not path.exists():
        path.write_bytes(encode_samples([feed] * 40))
    return TimeRequest(setup=SETUP, feeds=path, expected=None, requests=30, min_s=seconds, seed=1)


def _with_weights(tmp_path: Path, size: int = BIG) -> Setup:
    """The model with a large file beside it, that is sent and never read."""
    folder = tmp_path / "large"
    folder.mkdir()
    shutil.copy(SETUP.model, folder / "model.onnx")
    (folder / "model.onnx.data").write_bytes(os.urandom(size))
    return msgspec.structs.replace(SETUP, model=folder / "model.onnx")


def _clean(sshd: Sshd) -> bool:
    """Whether nothing of a session runs, not even without its sshd, and no folder of it is left."""
    runs = sshd.folder / "cache/deployopt/device/runs"
    return not sshd.sessions() and not _servers(sshd) and not list(runs.glob("*"))


def _servers(sshd: Sshd) -> list[psutil.Process]:
    """Servers that work in this device's folder, whoever their parent is now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "deployopt.device.serving" in words and words[-1].startswith(str(sshd.folder)):
                found.append(process)
    return found


def _running(sshd: Sshd, word: str) -> list[psutil.Process]:
    """The processes there with this word; one may end while it is looked at."""
    found = []
    for process in sshd.sessions():
        with suppress(psutil.Error):
            if word in process.cmdline():
                found.append(process)
    return found


def _children(sshd: Sshd) -> list[psutil.Process]:
    return _running(sshd, "deployopt.device.child")


def test_it_answers_what_this_machine_answers_and_is_left_clean(
    client: Sshd, data: EvaluationSet, tmp_path: Path
) -> None:
    here = evaluate(SETUP, data, tmp_path, ThisMachine())
    with connected(client.url, arch=ThisMachine().machine.arch) as device:
        there = evaluate(SETUP, data, tmp_path, device)
        assert device.where == client.url
        assert device.machine.cpu == ThisMachine().machine.cpu
        assert device.limits().memory_bytes
        reply = device.ask(_round(tmp_path), Limits())
        assert isinstance(reply, Timed)
        assert len(reply.round.samples_s) >= 30
        assert reply.round.conditions.cpu_share is not None
    assert there.examples == 60
    for ours, theirs in zip(here.outputs, there.outputs, strict=True):
        assert np.array_equal(ours["logits"], theirs["logits"])
    wait_for(lambda: _clean(client))
    assert not list((tmp_path / "home").rglob("*.partial"))


@pytest.mark.slow
def test_only_what_is_missing_is_sent(client: Sshd, data: EvaluationSet, tmp_path: Path) -> None:
    signs: list[str] = []

    def listen(sign: Working) -> None:
        signs.append(sign.what)

    for _ in range(2):
        with connected(client.url) as device:
            device.ask(_round(tmp_path), Limits(), listen)
            before = len([what for what in signs if "sending" in what])
            device.ask(_round(tmp_path), Limits(), listen)
    assert len([what for what in signs if "sending" in what]) == before
    evaluate(SETUP, data, tmp_path, ThisMachine())


def test_children_there_take_turns_and_fail_alone(client: Sshd, tmp_path: Path) -> None:
    one = msgspec.structs.replace(_round(tmp_path), turn_s=0.02)
    lame = msgspec.structs.replace(one, setup=msgspec.structs.replace(SETUP, outputs=("none",)))
    with connected(client.url) as device:
        first, second = device.ask_in_turns([one, one], Limits())
        assert isinstance(first, Timed)
        assert isinstance(second, Timed)
        assert min(len(reply.round.samples_s) for reply in (first, second)) >= 30
        with pytest.raises(IntegrityError, match="no output"):
            device.ask_in_turns([one, lame], Limits())
        replies = device.ask_in_turns([one, one], Limits(memory_bytes=2**20))
        assert [type(reply) for reply in replies] == [DeviceError, DeviceError]
        assert isinstance(device.ask(_round(tmp_path), Limits()), Timed)
    wait_for(lambda: _clean(client))


@pytest.mark.slow
def test_what_a_child_there_finds_wrong_is_an_error_here(client: Sshd, tmp_path: Path) -> None:
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"not a model")
    request = _round(tmp_path)
    wrong = msgspec.structs.replace(SETUP, model=broken)
    with connected(client.url) as device:
        with pytest.raises(DeployoptError, match="model"):
            device.ask(msgspec.structs.replace(request, setup=wrong), Limits())
        # The same connection goes on.
        assert isinstance(device.ask(request, Limits()), Timed)


def test_another_architecture_is_refused_before_anything_is_sent(client: Sshd) -> None:
    other = "aarch64" if ThisMachine().machine.arch != "aarch64" else "x86_64"
    reaching = connected(client.url, arch=other)
    with pytest.raises(UsageError, match=f"the target is {other}") as caught:
        reaching.__enter__()
    assert "Nothing was installed" in str(caught.value)
    wait_for(lambda: _clean(client))


class TestTrust:
    def test_a_key_that_is_not_accepted(self, client: Sshd, tmp_path: Path) -> None:
        make_key(tmp_path / "other")
        client.write_client()
        text = client.config.read_text(encoding="utf-8")
        client.config.write_text(text.replace(f"{client.folder}/user", f"{tmp_path}/other"))
        with pytest.raises(UnreachableError, match="does not accept this machine's key"):
            _touch(client.url)

    def test_a_host_that_is_not_known(self, client: Sshd) -> None:
        (client.folder / "known").write_text("")
        with pytest.raises(UnreachableError, match="is not known here"):
            _touch(client.url)
        assert (client.folder / "known").read_text() == ""

    def test_a_host_key_that_changed(self, client: Sshd, tmp_path: Path) -> None:
        make_key(tmp_path / "other")
        key = (tmp_path / "other.pub").read_text(encoding="utf-8")
        (client.folder / "known").write_text(f"[127.0.0.1]:{client.port} {key}")
        with pytest.raises(
            UnreachableError, match="is not the one that this machine knows"
        ) as caught:
            _touch(client.url)
        assert f"ssh-keygen -R '[127.0.0.1]:{client.port}'" in str(caught.value)

    def test_nobody_listens(self, client: Sshd) -> None:
        with running_proxy(client.port) as proxy:
            port = proxy.port
        with pytest.raises(UnreachableError, match=r"cannot be reached: .*Connection refused"):
            _touch(f"ssh://127.0.0.1:{port}")


def _touch(url: str) -> None:
    with connected(url):
        pass


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
            _touch(bare[0].url)

    def test_one_too_old(self, bare: tuple[Sshd, Path]) -> None:
        program = bare[1] / "python3"
        program.write_text('#!/bin/sh\nif [ "$1" = -V ]; then echo Python 3.9.2; fi\nexit 1\n')
        program.chmod(0o755)
        with pytest.raises(UnreachableError, match=r"found: Python 3\.9\.2"):
            _touch(bare[0].url)

    def test_the_one_that_is_named_is_not_there(
        self, client: Sshd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(DEVICE_PYTHON, "/nowhere/python")
        with pytest.raises(UnreachableError, match="There is no Python at /nowhere/python"):
            _touch(client.url)

    def test_the_one_that_is_named_lacks_the_packages(
        self, client: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True
        )
        monkeypatch.setenv(DEVICE_PYTHON, str(tmp_path / "venv/bin/python"))
        with pytest.raises(UnreachableError, match="No module named"):
            _touch(client.url)


@pytest.mark.slow
class TestBrokenLinks:
    @pytest.fixture
    def through(self, client: Sshd) -> Through:
        """A link of a kind, and the address over it."""

        @contextmanager
        def link(rate: float | None = None, most: int | None = None) -> Iterator[str]:
            with running_proxy(client.port, rate=rate, most=most) as proxy:
                client.know_host(more_port=proxy.port)
                yield f"ssh://127.0.0.1:{proxy.port}"

        return link

    def test_a_transfer_goes_on_where_it_broke(
        self,
        client: Sshd,
        through: Through,
        tmp_path: Path,
    ) -> None:
        setup = _with_weights(tmp_path)
        request = msgspec.structs.replace(_round(tmp_path), setup=setup)
        shares: list[float] = []

        def listen(sign: Working) -> None:
            if "sending" in sign.what:
                shares.append(sign.share)

        with through(most=BIG // 2) as url, connected(url) as device:
            assert isinstance(device.ask(request, Limits(), listen), Timed)
        # The second transfer's first sign is of what the first one left there.
        resumed = next(share for was, share in pairwise(shares) if share < was)
        assert resumed > 0.2
        wait_for(lambda: _clean(client))

    def test_a_first_connection_that_breaks_is_made_again(
        self, client: Sshd, through: Through
    ) -> None:
        for code in (client.folder / "cache").rglob("code-*"):
            shutil.rmtree(code)
        with through(most=400_000) as url, connected(url) as device:
            assert device.machine.cores

    def test_an_install_that_is_broken_off_leaves_nothing(
        self, client: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(DEVICE_PYTHON)
        folder = tmp_path / "fresh"
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as silent:
            index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
            cache = {"XDG_CACHE_HOME": str(folder / "cache"), "PIP_INDEX_URL": index}
            with running_sshd(folder, cache) as server:
                monkeypatch.setenv(SSH_CONFIG, str(server.config))
                words = [sys.executable, "-c", _ASKING, server.url, "none"]
                with subprocess.Popen(words) as asking:
                    wait_for(lambda: _running(server, "install"))
                    asking.kill()
                wait_for(lambda: not server.sessions())
        made = {path.name.partition("-")[0] for path in (folder / "cache").rglob("env*")}
        assert not made & {"env"}
        assert client

    def test_a_round_is_asked_again(
        self,
        client: Sshd,
        through: Through,
        tmp_path: Path,
    ) -> None:
        with through() as url, connected(url) as device:
            device.ask(_round(tmp_path), Limits())
            pids: list[int] = []

            def cut() -> None:
                wait_for(lambda: _children(client))
                time.sleep(0.5)
                pids.extend(process.pid for process in client.sessions())
                _ssh_of_this_process().kill()

            cutter = threading.Thread(target=cut)
            cutter.start()
            reply = device.ask(_round(tmp_path, 3.0), Limits())
            cutter.join()
            assert pids
            assert isinstance(reply, Timed)
            wait_for(lambda: not any(psutil.pid_exists(pid) for pid in pids))
        wait_for(lambda: _clean(client))

    def test_a_slow_link_is_only_slow(self, through: Through, tmp_path: Path) -> None:
        with through(rate=400_000) as url, connected(url) as device:
            assert isinstance(device.ask(_round(tmp_path), Limits()), Timed)

    def test_a_device_that_stays_away(self, client: Sshd, tmp_path: Path) -> None:
        with connected(client.url) as device:
            device.ask(_round(tmp_path), Limits())
            client.stop()
            try:
                with pytest.raises(UnreachableError, match="could not be reached again"):
                    device.ask(_round(tmp_path), Limits())
            finally:
                client.start()

    def test_a_device_that_was_restarted(self, client: Sshd, tmp_path: Path) -> None:
        with connected(client.url) as device:
            facts = msgspec.structs.replace(device._first.facts, boot="before")
            device._first = msgspec.structs.replace(device._first, facts=facts)
            _ssh_of_this_process().kill()
            with pytest.raises(UnreachableError, match="was restarted while it was measured"):
                device.ask(_round(tmp_path), Limits())
        wait_for(lambda: _clean(client))

    def test_a_server_that_hangs_is_left_and_ends_when_it_wakes(
        self, client: Sshd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ssh_device, "_LIMITS_S", 1.0)
        with connected(client.url) as device:
            server = _running(client, "deployopt.device.serving")[0]
            server.suspend()
            with pytest.raises(UnreachableError, match="no sign of life"):
                device.limits()
            server.resume()
            wait_for(lambda: not server.is_running())
        wait_for(lambda: _clean(client))

    def test_ctrl_c_in_a_round_leaves_nothing_there(self, client: Sshd, tmp_path: Path) -> None:
        def interrupt(_sign: Working) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), connected(client.url) as device:
            device.ask(_round(tmp_path, 30.0), Limits(), interrupt)
        wait_for(lambda: _clean(client))

    def test_a_killed_process_here_leaves_nothing_there(self, client: Sshd, tmp_path: Path) -> None:
        request = tmp_path / "request"
        request.write_bytes(frame(_round(tmp_path, 60.0))[4:])
        words = [sys.executable, "-c", _ASKING, client.url, str(request)]
        with subprocess.Popen(words) as asking:
            wait_for(lambda: _children(client))
            # Past the warm-up: from then on nobody says anything until the round is over.
            time.sleep(4)
            pids = [process.pid for process in client.sessions()]
            assert len(_children(client)) == 1
            asking.kill()
        wait_for(lambda: not any(psutil.pid_exists(pid) for pid in pids))
        wait_for(lambda: _clean(client))


def _ssh_of_this_process() -> psutil.Process:
    return next(p for p in psutil.Process().children() if p.name() == "ssh")


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
                    _round(tmp_path), setup=_with_weights(tmp_path, 60 * 2**20)
                )
                with connected(server.url) as device:
                    with pytest.raises(StorageError, match="does not fit on the disk"):
                        device.ask(request, Limits())
                    assert isinstance(device.ask(_round(tmp_path), Limits()), Timed)
                monkeypatch.delenv(DEVICE_PYTHON)
                with pytest.raises(UnreachableError, match="the small install needs"):
                    _touch(server.url)
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
