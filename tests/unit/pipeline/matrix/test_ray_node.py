"""What a node does with bytes of JSON, without Ray: it looks, compares, and lets words through."""

from pathlib import Path

from deployopt.core.codec import encode_json
from deployopt.core.version import VERSION
from deployopt.pipeline.matrix import ray_node
from deployopt.pipeline.matrix.child import Start
from deployopt.pipeline.matrix.digests import Inputs
from deployopt.pipeline.matrix.messages import Message, Note, Share, Stage
from deployopt.pipeline.matrix.ray_node import look
from deployopt.pipeline.matrix.ray_words import Done, Job, Look, Lost, Said, Seen, decode
from tests.fakes.cells import COMMAND, cell


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
    words = list(ray_node._ran(job(tmp_path), "n"))
    assert isinstance(words[-1], Done)
    assert any(isinstance(one, Said) and isinstance(one.message, Stage) for one in words)
    (lost,) = [one for one in ray_node._ran(job(tmp_path, "die"), "n") if isinstance(one, Lost)]
    assert "killed by SIGKILL" in lost.reason
    assert "last words" in lost.reason
    assert not list((tmp_path / "store" / "staging").iterdir())


def test_only_what_is_worth_an_object_is_passed_on() -> None:
    pace = ray_node._Pace()
    share, waits = Share(share=0.1), Share(share=0.0, waits=True)
    given: list[Message] = [
        share, share, Stage(name="Latency", quiet=True), share, waits, Note(text="n"),
    ]  # fmt: skip
    assert [pace.lets(one) for one in given] == [True, False, True, False, True, True]
