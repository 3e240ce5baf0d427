"""Links that are slow, break, or hang."""

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import psutil
import pytest

from deployopt.core.errors import (
    UnreachableError,
)
from deployopt.device.protocol import Timed, Working, frame
from deployopt.device.setup import Limits
from deployopt.remote import ssh_device
from deployopt.remote.ssh import DEVICE_PYTHON, SSH_CONFIG
from deployopt.remote.ssh_device import connected
from tests.fakes.proxy import running_proxy
from tests.fakes.ssh_rounds import (
    ASKING,
    BIG,
    Through,
    children,
    is_clean,
    round_of,
    running,
    with_weights,
)
from tests.fakes.sshd import MISSING, Sshd, running_sshd, there_is_sshd, wait_for

pytestmark = pytest.mark.skipif(not there_is_sshd(), reason=MISSING)


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
        setup = with_weights(tmp_path)
        request = msgspec.structs.replace(round_of(tmp_path), setup=setup)
        shares: list[float] = []

        def listen(sign: Working) -> None:
            if "sending" in sign.what:
                shares.append(sign.share)

        with through(most=BIG // 2) as url, connected(url) as device:
            assert isinstance(device.ask(request, Limits(), listen), Timed)
        # The second transfer's first sign is of what the first one left there.
        resumed = next(share for was, share in pairwise(shares) if share < was)
        assert resumed > 0.2
        wait_for(lambda: is_clean(client))

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
                words = [sys.executable, "-c", ASKING, server.url, "none"]
                with subprocess.Popen(words) as asking:
                    wait_for(lambda: running(server, "install"))
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
            device.ask(round_of(tmp_path), Limits())
            pids: list[int] = []

            def cut() -> None:
                wait_for(lambda: children(client))
                time.sleep(0.5)
                pids.extend(process.pid for process in client.sessions())
                _ssh_of_this_process().kill()

            cutter = threading.Thread(target=cut)
            cutter.start()
            reply = device.ask(round_of(tmp_path, 3.0), Limits())
            cutter.join()
            assert pids
            assert isinstance(reply, Timed)
            wait_for(lambda: not any(psutil.pid_exists(pid) for pid in pids))
        wait_for(lambda: is_clean(client))

    def test_a_slow_link_is_only_slow(self, through: Through, tmp_path: Path) -> None:
        with through(rate=400_000) as url, connected(url) as device:
            assert isinstance(device.ask(round_of(tmp_path), Limits()), Timed)

    def test_a_device_that_stays_away(self, client: Sshd, tmp_path: Path) -> None:
        with connected(client.url) as device:
            device.ask(round_of(tmp_path), Limits())
            client.stop()
            try:
                with pytest.raises(UnreachableError, match="could not be reached again"):
                    device.ask(round_of(tmp_path), Limits())
            finally:
                client.start()

    def test_a_device_that_was_restarted(self, client: Sshd, tmp_path: Path) -> None:
        with connected(client.url) as device:
            facts = msgspec.structs.replace(device._first.facts, boot="before")
            device._first = msgspec.structs.replace(device._first, facts=facts)
            _ssh_of_this_process().kill()
            with pytest.raises(UnreachableError, match="was restarted while it was measured"):
                device.ask(round_of(tmp_path), Limits())
        wait_for(lambda: is_clean(client))

    def test_a_server_that_hangs_is_left_and_ends_when_it_wakes(
        self, client: Sshd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ssh_device, "_LIMITS_S", 1.0)
        with connected(client.url) as device:
            server = running(client, "deployopt.device.serving")[0]
            server.suspend()
            with pytest.raises(UnreachableError, match="no sign of life"):
                device.limits()
            server.resume()
            wait_for(lambda: not server.is_running())
        wait_for(lambda: is_clean(client))

    def test_ctrl_c_in_a_round_leaves_nothing_there(self, client: Sshd, tmp_path: Path) -> None:
        def interrupt(_sign: Working) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), connected(client.url) as device:
            device.ask(round_of(tmp_path, 30.0), Limits(), interrupt)
        wait_for(lambda: is_clean(client))

    def test_a_killed_process_here_leaves_nothing_there(self, client: Sshd, tmp_path: Path) -> None:
        request = tmp_path / "request"
        request.write_bytes(frame(round_of(tmp_path, 60.0))[4:])
        words = [sys.executable, "-c", ASKING, client.url, str(request)]
        with subprocess.Popen(words) as asking:
            wait_for(lambda: children(client))
            # Past the warm-up: from then on nobody says anything until the round is over.
            time.sleep(4)
            pids = [process.pid for process in client.sessions()]
            assert len(children(client)) == 1
            asking.kill()
        wait_for(lambda: not any(psutil.pid_exists(pid) for pid in pids))
        wait_for(lambda: is_clean(client))


def _ssh_of_this_process() -> psutil.Process:
    return next(p for p in psutil.Process().children() if p.name() == "ssh")
