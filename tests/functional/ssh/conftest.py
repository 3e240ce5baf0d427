"""A device that is reached over a real sshd on loopback, whose cache is the test's."""

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deployopt.core.examples import Examples, encode_examples
from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.device.setup import EvaluationSet
from deployopt.remote import ssh_device
from deployopt.remote.ssh import DEVICE_PYTHON, SSH_CONFIG
from tests.fakes.ssh_rounds import (
    ASSETS,
)
from tests.fakes.sshd import Sshd, running_sshd
from tests.functional.conftest import ROOT


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


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sshd, Sshd]]:
    """Two boards: what two users of one would share, the lock's folder, each has for itself."""
    with ExitStack() as stack:
        found = []
        for name in ("one", "two"):
            folder = tmp_path_factory.mktemp(name)
            (folder / "tmp").mkdir()
            environment = {"XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder / "tmp")}
            found.append(stack.enter_context(running_sshd(folder, environment)))
        yield found[0], found[1]


@pytest.fixture
def boards(
    servers: tuple[Sshd, Sshd], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Sshd, Sshd]:
    """Both, reachable with one configuration."""
    one, two = servers
    for server in servers:
        if not server.listens():
            server.start()
    known = "".join((server.folder / "known").read_text() for server in servers)
    (tmp_path / "known").write_text(known)
    (tmp_path / "client.conf").write_text(
        f"IdentityFile {one.folder}/user\nIdentityFile {two.folder}/user\nIdentitiesOnly yes\n"
        f"IdentityAgent none\nUserKnownHostsFile {tmp_path}/known\nGlobalKnownHostsFile /dev/null\n"
    )
    monkeypatch.setenv(SSH_CONFIG, str(tmp_path / "client.conf"))
    monkeypatch.setenv(DEVICE_PYTHON, sys.executable)
    monkeypatch.setenv("DEPLOYOPT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return one, two


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
