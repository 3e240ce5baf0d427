"""A fleet of two boards, each a real sshd: held, looked at, measured on one cell at a time."""

import platform
import shutil
from collections.abc import Mapping
from itertools import pairwise
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
from deployopt.remote.ssh import DEVICE_PYTHON
from deployopt.remote.ssh_device import connected
from tests.fakes import hurried_matrix, models, troubled_serving
from tests.fakes.cells import COMMAND, Seen, cell
from tests.fakes.sshd import MISSING, Sshd, there_is_sshd
from tests.functional.conftest import Done, invoke_here

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


class Watched(Seen):
    """Switches a board off as soon as something is timed there."""

    def __init__(self, board: Sshd) -> None:
        super().__init__()
        self._board = board

    def stage(self, cell: str, name: str, *, quiet: bool) -> None:
        super().stage(cell, name, quiet=quiet)
        if quiet and ("advance", cell, "measured by two", "0") in self.events:
            self._board.stop()


def on_boards(
    tmp_path: Path, fleet: str, watcher: MatrixWatcher, models_of: Mapping[str, str]
) -> dict[str, CellResult]:
    """Cells that only ask a board for something: `board BUILD MEASURE`, in seconds."""
    file = decode_toml(fleet.encode(), FleetFile, where="fleet")
    target = load_target(str(models.write_target(tmp_path / "here.toml")))
    cells = [
        msgspec.structs.replace(cell(model, name, store=tmp_path / "store"), target=target,
        pool="here") for name, model in models_of.items()
    ]  # fmt: skip
    executor = OnFleet(Processes(2, COMMAND, free=lambda: 2**40), file)
    found = {}
    for one in executor.results(cells, watcher):
        watcher.ended(one)
        found[one.name.model] = one
    return found


def both(boards: tuple[Sshd, Sshd]) -> str:
    return FLEET.format(one=boards[0].url, two=boards[1].url)


def only_one(boards: tuple[Sshd, Sshd]) -> str:
    return both(boards).rpartition("[[device]]")[0]


def span(tmp_path: Path, what: str, name: str) -> tuple[int, int]:
    began, ended = (tmp_path / f"{what}-{name}-rpi4").read_text().split()
    return int(began), int(ended)


@pytest.mark.slow
def test_a_cell_is_built_while_another_is_measured_on_its_board(
    tmp_path: Path, boards: tuple[Sshd, Sshd]
) -> None:
    seen = Seen()
    found = on_boards(
        tmp_path, only_one(boards), seen, {"a": "board 0 2 b", "b": "board 0 2", "c": "board 0 0"}
    )
    assert {name: (one.word, one.device) for name, one in found.items()} == dict.fromkeys(
        "abc", (Word.ACCEPTED, "one")
    )
    # The first would have waited in vain, had the other been kept until its board was free.
    assert span(tmp_path, "built", "b")[1] <= span(tmp_path, "took", "a")[1]
    took = sorted(span(tmp_path, "took", name) for name in "abc")
    assert all(one[1] <= other[0] for one, other in pairwise(took))
    # Two cells a board: the third begins when the first has ended.
    events = [event[:2] for event in seen.events if event[0] in {"began", "ended"}]
    assert events.index(("began", "c-rpi4")) > min(
        events.index(("ended", f"{name}-rpi4")) for name in "ab"
    )
    assert max(one.waited_s for one in found.values()) > 0.5


@pytest.mark.slow
def test_a_board_that_vanishes_is_taken_out_and_its_cells_go_to_the_other(
    tmp_path: Path, boards: tuple[Sshd, Sshd]
) -> None:
    seen = Watched(boards[1])
    found = on_boards(tmp_path, both(boards), seen, dict.fromkeys("abc", "board 0 1"))
    assert not boards[1].listens()
    assert {name: (one.word, one.device) for name, one in found.items()} == dict.fromkeys(
        "abc", (Word.ACCEPTED, "one")
    )
    assert sum(one.attempts > 1 for one in found.values()) >= 1
    (note,) = [event[2] for event in seen.of("note") if "taken out" in event[2]]
    assert note.startswith("two is taken out of the fleet: ")


@pytest.mark.slow
def test_a_board_that_is_lost_costs_no_build(
    folder: Path, boards: tuple[Sshd, Sshd], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real command: what was built for the lost board is found for the other."""
    (folder / "m.toml").write_text(MATRIX.partition('[[variant]]\nname = "b"')[0])
    lost: list[str] = []

    def advance(self: object, cell: str, share: float, words: str) -> None:
        del self, cell, share
        name = words.removeprefix("measured by ")
        if name in {"one", "two"} and not lost:
            lost.append(name)
            boards[("one", "two").index(name)].stop()

    monkeypatch.setattr("deployopt.reports.matrix_progress.MatrixProgress.advance", advance)
    done = matrix(folder, "-j", "1")
    assert done.code in {0, 3}, done.err
    (one,) = done.json["cells"]
    assert lost
    assert {one["device"], *lost} == {"one", "two"}
    assert one["attempts"] == 2
    assert (one["steps_made"], one["steps_reused"] > 0) == (0, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("heat", "heat: 91 °C: it may throttle soon). Let it cool, or give it a fan."),
        ("throttling", "throttling: now: under-voltage, it is throttled)"),
        ("memory", "memory: 100 MiB free: a model may be pushed to swap). Stop what takes it."),
        ("disk", "disk: 100 MiB free for the store). Free some space there."),
    ],
)
def test_a_board_in_trouble_measures_nothing(
    tmp_path: Path, boards: tuple[Sshd, Sshd], monkeypatch: pytest.MonkeyPatch, what: str, said: str
) -> None:
    monkeypatch.setenv(DEVICE_PYTHON, str(troubled_serving.wrapper(tmp_path / "python")))
    file = boards[1].folder / "tmp" / troubled_serving.FILE
    file.write_text(what)
    seen = Seen()
    try:
        found = on_boards(tmp_path, both(boards), seen, dict.fromkeys("ab", "board 0 0.1"))
    finally:
        file.unlink()
    assert {(one.word, one.device) for one in found.values()} == {(Word.ACCEPTED, "one")}
    taken_out = [event[1:] for event in seen.of("note") if "taken out" in event[2]]
    ((name, why),) = taken_out
    assert (name, why.partition("(")[0]) == (
        "two", "It is taken out of the fleet: it failed its self-check ",
    )  # fmt: skip
    assert said in why


@pytest.mark.slow
def test_a_fleet_without_a_board_left_says_why(tmp_path: Path, boards: tuple[Sshd, Sshd]) -> None:
    boards[1].stop()
    hold = Hold(boards[0].url, "t" * 64, arch=machine())
    try:
        found = on_boards(tmp_path, both(boards), Seen(), dict.fromkeys("ab", "board 0 0"))
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
