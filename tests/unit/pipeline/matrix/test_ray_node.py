"""What a node does with bytes of JSON, without Ray: it looks, compares, and lets words through."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.codec import encode_json
from deployopt.core.version import VERSION
from deployopt.pipeline.matrix import ray_node, ray_turns
from deployopt.pipeline.matrix.child import Start
from deployopt.pipeline.matrix.digests import Inputs
from deployopt.pipeline.matrix.messages import WAITING, Note, Share, Stage, Told
from deployopt.pipeline.matrix.ray_node import look
from deployopt.pipeline.matrix.ray_turns import CellTurns, Keeper
from deployopt.pipeline.matrix.ray_words import Done, Job, Look, Lost, Said, Seen, decode
from deployopt.store import leases
from deployopt.store.layout import HOME
from deployopt.store.leases import Lease, leases_in, leases_of_nodes
from tests.fakes.cells import COMMAND, cell
from tests.unit.pipeline.matrix.test_boards import board


def test_a_node_says_what_stands_in_our_files_and_answers_beside_them(tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("nonce")
    missing = tmp_path / "else" / "shared"
    asked = Look(files=(str(tmp_path / "shared"), str(missing)), packages=("msgspec", "none-such"))
    seen = decode(look(encode_json(asked)), Seen)
    assert seen.files == {str(tmp_path / "shared"): "nonce"}
    assert list(seen.wrong) == [str(missing)]
    assert "No such file" in seen.wrong[str(missing)]
    assert seen.versions["deployopt"] == VERSION
    assert seen.versions["msgspec"]
    assert len(list(tmp_path.glob("answer-*"))) == 1


def job(tmp_path: Path, model: str = "ok", **changed: dict[str, str]) -> Job:
    given: dict[str, dict[str, str]] = {"shared": {}, "inputs": {}} | changed
    return Job(
        cell=cell(model, store=tmp_path / "store"),
        start=Start(command=COMMAND),
        niceness=0,
        shared=given["shared"],
        inputs=given["inputs"],
    )


def test_a_folder_or_an_input_that_is_not_the_driver_s(tmp_path: Path) -> None:
    (tmp_path / "folder" / "one").mkdir(parents=True)
    nonce = tmp_path / "folder" / "one" / "shared"
    nonce.write_text("a")
    assert ray_node._unshared(job(tmp_path, shared={str(nonce): "a"})) is None
    said = ray_node._unshared(job(tmp_path, shared={str(nonce): "b"}))
    assert said == f"{tmp_path}/folder is not shared with this node"
    model = tmp_path / "model"
    model.write_bytes(b"x")
    here = Inputs().of(cell(str(model), store=tmp_path))
    assert str(model) in here
    assert ray_node._other_inputs(job(tmp_path, str(model), inputs=here)) is None
    other = dict.fromkeys(here, "0" * 64)
    assert "holds something else there than here" in (
        ray_node._other_inputs(job(tmp_path, str(model), inputs=other)) or ""
    )
    gone = {str(tmp_path / "gone"): "0" * 64}
    assert "is not there" in (ray_node._other_inputs(job(tmp_path, inputs=gone)) or "")


def test_a_cell_runs_in_a_process_and_its_end_is_a_word(tmp_path: Path) -> None:
    words = list(ray_node._built(job(tmp_path), "n"))
    assert isinstance(words[-1], Done)
    assert any(isinstance(one, Said) and isinstance(one.message, Stage) for one in words)
    (lost,) = [one for one in ray_node._built(job(tmp_path, "die"), "n") if isinstance(one, Lost)]
    assert "killed by SIGKILL" in lost.reason
    assert "last words" in lost.reason
    assert not list((tmp_path / "store" / "staging").iterdir())


def test_nothing_is_read_or_built_while_somebody_measures_on_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a node with a store of its own: two nodes may be one machine."""
    monkeypatch.setattr(leases, "_OWN", tmp_path / "own")
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    (tmp_path / "share").mkdir()
    alone = job(tmp_path)
    apart = msgspec.structs.replace(alone, share=str(tmp_path / "share"))
    read: list[Job] = []
    monkeypatch.setattr(ray_node, "_other_inputs", read.append)
    monkeypatch.setattr(ray_node, "_unshared", read.append)
    for one, where in ((alone, leases_in(tmp_path / "store")), (apart, leases_of_nodes())):
        read.clear()
        with Lease(where) as measuring:
            measuring.alone()
            words = ray_node._built(one, "n")
            first = next(words)
            assert isinstance(first, Said)
            assert first.message == Share(share=0.0, words=WAITING, waits=True)
            assert read == []
            measuring.drop()
            assert isinstance(list(words)[-1], Done)
        assert one in read


@pytest.mark.parametrize("model", ["ok", "die"])
def test_its_last_word_comes_when_nothing_is_held_for_it_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """Whoever hears it may end the worker before it says that it has no more to say."""
    monkeypatch.setattr(leases, "_OWN", tmp_path / "own")
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    (tmp_path / "share").mkdir()
    apart = msgspec.structs.replace(job(tmp_path, model), share=str(tmp_path / "share"))
    words = ray_node._built(apart, "n")
    assert any(isinstance(one, Done | Lost) for one in words)
    assert not list((tmp_path / "home" / "store-1" / "staging").iterdir())
    with Lease(leases_of_nodes()) as lease:
        assert lease.try_alone()
    assert list(words) == []


def test_a_cell_s_turns_are_asked_of_who_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real process; the board is not reached, which is its failure and no longer its turn."""
    keeper = Keeper()
    monkeypatch.setattr(ray_turns, "RayTurns", lambda: keeper)
    monkeypatch.setattr(CellTurns.__init__, "__defaults__", (lambda: keeper,))
    asked = job(tmp_path, "board 0 0")
    nobody = msgspec.structs.replace(board("one", "pi"), address="ssh://127.0.0.1:1")
    cell_of = msgspec.structs.replace(asked.cell, boards=(nobody,), pool="pi")
    asked = msgspec.structs.replace(asked, cell=cell_of, turn="a")
    keeper.take("b", ["one"], waits=False)
    words = iter(ray_node._built(asked, "n"))
    waits = (w for w in words if isinstance(w, Said) and isinstance(w.message, Share))
    assert next(waits).message == Share(share=0.0, words=WAITING, waits=True)
    keeper.give("b")
    *_, last = words
    assert isinstance(last, Done), last
    assert b'"UnreachableError"' in bytes(last.result)
    assert b'"device":"one"' in bytes(last.result)
    assert keeper.holders() == {}


def test_only_what_is_worth_an_object_is_passed_on() -> None:
    pace = ray_node._Pace()
    share, waits = Share(share=0.1), Share(share=0.0, waits=True)
    given: list[Told] = [
        share, share, Stage(name="Latency", quiet=True), share, waits, Note(text="n"),
    ]  # fmt: skip
    assert [pace.lets(one) for one in given] == [True, False, True, False, True, True]
