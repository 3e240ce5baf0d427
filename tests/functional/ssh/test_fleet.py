"""A fleet of two boards, each a real sshd: held, looked at, measured on one cell at a time."""

import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from deployopt.core.codec import decode_toml
from deployopt.core.errors import UnreachableError, UsageError
from deployopt.core.fleet import FleetFile
from deployopt.core.matrix import CellResult, MatrixWatcher, Word
from deployopt.pipeline.matrix.fleet import OnFleet
from deployopt.pipeline.matrix.processes import Processes
from deployopt.planning.targets import load_target
from deployopt.remote.holding import Hold
from deployopt.remote.ssh import DEVICE_PYTHON, SSH_CONFIG
from deployopt.remote.ssh_device import connected
from tests.fakes import hurried_matrix, models
from tests.fakes.cells import COMMAND, Seen, cell
from tests.fakes.sshd import MISSING, Sshd, running_sshd, there_is_sshd
from tests.functional.conftest import ROOT, Done, invoke_here

pytestmark = [pytest.mark.skipif(not there_is_sshd(), reason=MISSING)]

MATRIX = """
accept_predicted = true
[[model]]
name = "mlp"
model = "./mlp.onnx"
data = "./inputs.npz"
[[target]]
name = "board"
target = "./here.toml"
[[variant]]
name = "a"
[[variant]]
name = "b"
budgets = { artifact_size = "1 KiB" }
"""
FLEET = """
[[device]]
name = "one"
address = "{one}"
target = "here"
labels = ["cooled"]
[[device]]
name = "two"
address = "{two}"
target = "here"
"""


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
def folder(
    tmp_path: Path, mlp: Path, arrays: Path, boards: tuple[Sshd, Sshd],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """A matrix, and the fleet that it is measured on."""
    shutil.copy(mlp, tmp_path / "mlp.onnx")
    shutil.copy(arrays, tmp_path / "inputs.npz")
    models.write_target(tmp_path / "here.toml")
    (tmp_path / "m.toml").write_text(MATRIX)
    one, two = boards
    (tmp_path / "fleet.toml").write_text(FLEET.format(one=one.url, two=two.url))
    hurried_matrix.hurry(monkeypatch)
    return tmp_path


def matrix(folder: Path, *words: object) -> Done:
    fleet = ("--fleet", folder / "fleet.toml")
    return invoke_here(
        "matrix", folder / "m.toml", "--store", folder / "store", *fleet, "--json", *words
    )


@pytest.mark.slow
def test_cells_are_spread_over_the_boards_of_their_kind(folder: Path) -> None:
    done = matrix(folder)
    assert done.code == 1, done.err
    cells = done.json["cells"]
    assert {cell["device"] for cell in cells} == {"one", "two"}
    again = matrix(folder)
    assert again.json["reused"] == 2, again.err


class _Watched(Seen):
    """Switches a board off as soon as something is timed there."""

    def __init__(self, board: Sshd) -> None:
        super().__init__()
        self._board = board

    def stage(self, cell: str, name: str, *, quiet: bool) -> None:
        super().stage(cell, name, quiet=quiet)
        if quiet and ("began", cell, "two") in self.events:
            self._board.stop()


def on_boards(
    tmp_path: Path, boards: tuple[Sshd, Sshd], names: str, watcher: MatrixWatcher
) -> dict[str, CellResult]:
    """Cells that only ask a board for something, a second each."""
    one, two = boards
    fleet = decode_toml(FLEET.format(one=one.url, two=two.url).encode(), FleetFile, where="fleet")
    target = load_target(str(models.write_target(tmp_path / "here.toml")))
    cells = [
        msgspec.structs.replace(one, target=target, pool="here")
        for one in (cell("board 1", name, store=tmp_path / "store") for name in names)
    ]
    executor = OnFleet(Processes(2, COMMAND, free=lambda: 2**40), fleet)
    return {one.name.model: one for one in executor.results(cells, watcher)}


@pytest.mark.slow
def test_a_board_that_vanishes_is_taken_out_and_its_cells_go_to_the_other(
    tmp_path: Path, boards: tuple[Sshd, Sshd]
) -> None:
    seen = _Watched(boards[1])
    found = on_boards(tmp_path, boards, "abc", seen)
    assert not boards[1].listens()
    assert {name: (one.word, one.device) for name, one in found.items()} == dict.fromkeys(
        "abc", (Word.ACCEPTED, "one")
    )
    assert sorted(one.attempts for one in found.values()) == [1, 1, 2]
    (note,) = [event[2] for event in seen.of("note") if "taken out" in event[2]]
    assert note.startswith("two is taken out of the fleet: ")


@pytest.mark.slow
def test_a_fleet_without_a_board_left_says_why(tmp_path: Path, boards: tuple[Sshd, Sshd]) -> None:
    boards[1].stop()
    hold = Hold(boards[0].url, "t" * 64, arch=machine())
    try:
        found = on_boards(tmp_path, boards, "ab", Seen())
    finally:
        hold.close()
    (message,) = {one.error or "" for one in found.values()}
    assert "The fleet has no board left for target here. one: " in message
    assert "another call of deployopt uses it. Wait for that one to end. two: " in message
    assert {(one.word, one.exit_code) for one in found.values()} == {(Word.FAILED, 5)}


@pytest.mark.slow
def test_a_device_is_held_for_one_call(boards: tuple[Sshd, Sshd]) -> None:
    board = boards[0]
    hold = Hold(board.url, "t" * 64, arch=machine())
    held = pytest.raises(UnreachableError, match="held by a call of `deployopt matrix --fleet`")
    with held, connected(board.url):
        pass
    with pytest.raises(UsageError, match="the fleet has it under another name, too"):
        Hold(board.url, "t" * 64, arch=machine())
    with connected(board.url, claim="t" * 64) as device:
        assert device.check_up()
        hold.close()
    with connected(board.url), pytest.raises(UnreachableError, match="another call of deployopt"):
        Hold(board.url, "u" * 64, arch=machine())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FLEET.replace('"two"', '"one"', 1), "two [[device]] are called 'one'"),
        (FLEET.replace("{two}", "{one}"), "is claimed twice: as one and as two"),
        (FLEET.replace('"here"', '"rpi9"'), "there is no target 'rpi9'"),
        (FLEET.replace("{one}", "http://x"), "device one: 'http://x' is not the address"),
        (FLEET.replace("cooled", "Very Cool"), "device[0].labels"),
        ("", "there is no [[device]]"),
        ("[[device]]\nname='a'\n", "address"),
    ],
)
def test_a_wrong_fleet_is_a_paragraph(folder: Path, text: str, said: str) -> None:
    one, two = "ssh://127.0.0.1:7", "ssh://127.0.0.1:8"
    (folder / "fleet.toml").write_text(text.replace("{one}", one).replace("{two}", two))
    done = matrix(folder)
    assert (done.code, done.json["error"]) == (2, "UsageError"), done.err
    assert said in done.json["message"]
    assert not (folder / "store").exists()


def test_labels_that_no_board_has_are_said(folder: Path) -> None:
    text = MATRIX.replace('"./here.toml"', '"./here.toml"\nlabels = ["fast"]')
    (folder / "m.toml").write_text(text)
    done = matrix(folder)
    assert done.code == 2
    assert "no device is a here with all of the labels fast" in done.json["message"]


def machine() -> str:
    return platform.machine()
