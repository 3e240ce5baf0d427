"""A recipe is run step by step through the store: nothing twice, and a failure names its step."""

from importlib import metadata
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import StepError
from deployopt.core.interface import ArrayInput, ArrayInputs, Interface, Task
from deployopt.core.recipe import Lesson, Recipe, StepContext
from deployopt.pipeline import making
from deployopt.pipeline.making import (
    Workbench,
    check_recipes,
    make,
    shared_artifact,
    step_key,
    tool_versions,
)
from deployopt.store.share import open_share
from deployopt.store.store import Store

INTERFACE = Interface(
    task=Task.ANY,
    inputs=ArrayInputs(inputs=(ArrayInput(name="x", dtype="float32", shape=(1, 2)),)),
    outputs=("y",),
)
RUNS: list[str] = []


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """Adds its text to the file, and remembers that it ran."""

    name: ClassVar[str] = "append"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("msgspec",)
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    text: str = "a"
    fails: bool = False
    forgets: bool = False

    def requires(self, source: Artifact, context: StepContext) -> None:
        if self.fails:
            raise StepError(f"append cannot work on {source.entry} with seed {context.seed}")

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        RUNS.append(self.text)
        if not self.forgets:
            (context.workdir / "model.onnx").write_text(source.path.read_text() + self.text)
        return msgspec.structs.replace(
            source, folder=context.workdir, entry="model.onnx", digest="", notes=(self.text,)
        )


@pytest.fixture
def source(tmp_path: Path) -> Artifact:
    RUNS.clear()
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "model.onnx").write_text(">")
    return Artifact(format=Format.ONNX, folder=folder, entry="model.onnx", digest="0" * 64)


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(
        store=Store(tmp_path / "store"),
        interface=INTERFACE,
        samples=None,
        samples_digest="",
        seed=0,
        threads=1,
    )


def silent(share: float, words: str) -> None:
    assert 0 <= share <= 1
    assert words


def test_steps_run_in_order_and_leave_their_lineage(source: Artifact, bench: Workbench) -> None:
    recipe = Recipe(name="ab", steps=(Append(text="a"), Append(text="b")))
    made = make(recipe, source, bench, silent)
    assert made.artifact.path.read_text() == ">ab"
    assert made.artifact.notes == ("b",)
    assert [s.lineage.source for s in made.steps] == [source.digest, made.steps[0].lineage.result]
    assert made.artifact.digest == made.steps[1].lineage.result
    assert '"text":"b"' in made.steps[1].lineage.options


def test_nothing_is_done_twice(source: Artifact, bench: Workbench) -> None:
    first = make(
        Recipe(name="ab", steps=(Append(text="a"), Append(text="b"))), source, bench, silent
    )
    again = make(
        Recipe(name="ac", steps=(Append(text="a"), Append(text="c"))), source, bench, silent
    )
    assert RUNS == ["a", "b", "c"]
    assert [s.reused for s in first.steps] == [False, False]
    assert [s.reused for s in again.steps] == [True, False]


def test_a_damaged_result_is_made_again(source: Artifact, bench: Workbench) -> None:
    recipe = Recipe(name="a", steps=(Append(text="a"),))
    made = make(recipe, source, bench, silent)
    made.artifact.path.chmod(0o644)
    made.artifact.path.write_text(">x")
    fresh = msgspec.structs.replace(bench, store=Store(bench.store.layout.root))
    again = make(recipe, source, fresh, silent)
    assert RUNS == ["a", "a"]
    assert again.artifact.path.read_text() == ">a"
    assert again.artifact.digest == made.artifact.digest


def shared(bench: Workbench, name: str, share: Path) -> tuple[Workbench, list[str]]:
    """Another machine's workbench, with a share; what it says of that."""
    said: list[str] = []
    store = Store(bench.store.layout.root.with_name(name))
    store.share = open_share(str(share), said.append)
    return msgspec.structs.replace(bench, store=store), said


def test_what_one_machine_made_another_takes(
    source: Artifact, bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    monkeypatch.setattr(making, "check_received", lambda *given: looked.append(given[0]))
    (tmp_path / "share").mkdir()
    recipe = Recipe(name="ab", steps=(Append(text="a"), Append(text="b")))
    one, _ = shared(bench, "one", tmp_path / "share")
    made = make(recipe, source, one, silent)
    other, said = shared(bench, "other", tmp_path / "share")
    found = make(recipe, source, other, silent)
    assert RUNS == ["a", "b"]
    assert [step.reused for step in found.steps] == [True, True]
    assert found.artifact.digest == made.artifact.digest
    assert found.artifact.path.is_relative_to(other.store.layout.root)
    assert (looked, said) == ([Format.ONNX] * 2, [])
    # What the store had before there was a share is offered, too.
    (tmp_path / "late").mkdir()
    late, _ = shared(bench, "one", tmp_path / "late")
    make(recipe, source, late, silent)
    assert len(list((tmp_path / "late" / "keys").iterdir())) == 2


FORGED: dict[str, tuple[bytes, str]] = {
    "another format": (b'"openvino","session":{}', "It is openvino, and append makes onnx."),
    "session options": (
        b'"onnx","session":{"config_entries":{"ep.context_file_path":"/etc/passwd"}}',
        "The session entry 'ep.context_file_path' is not one that a bundle may set.",
    ),
    "more": (
        b'"onnx","session":{},"more":1',
        "What was kept beside it cannot be read: unknown key 'more'",
    ),
}


def test_the_runtime_for_cards_is_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"onnxruntime-gpu": "1.31.1", "numpy": "2.0"}

    def version(name: str) -> str:
        if name not in there:
            raise metadata.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(metadata, "version", version)
    found = tool_versions(("onnxruntime", "numpy", "torch"))
    assert found == {"onnxruntime": "1.31.1", "numpy": "2.0", "torch": "absent"}
    there["onnxruntime"] = "1.30.0"
    assert tool_versions(("onnxruntime",)) == {"onnxruntime": "1.30.0"}


@pytest.mark.parametrize("how", FORGED)
def test_a_result_of_another_kind_is_refused_and_made_here(
    source: Artifact, bench: Workbench, tmp_path: Path, how: str
) -> None:
    meta, reason = FORGED[how]
    (tmp_path / "share").mkdir()
    one, _ = shared(bench, "one", tmp_path / "share")
    key = step_key(Append(), source, bench, tool_versions(Append.tools))
    with one.store.stage() as folder:
        (folder / "model.onnx").write_text("forged")
        forged = one.store.commit(folder, key, meta=b'{"entry":"model.onnx","precision":"fp32",'
            b'"notes":[],"format":' + meta + b"}")  # fmt: skip
    assert one.store.share is not None
    one.store.share.offer(forged)
    other, said = shared(bench, "other", tmp_path / "share")
    # A plan does not count on it, either.
    assert shared_artifact(Append(), key, one.store.share) is None
    made = make(Recipe(name="a", steps=(Append(),)), source, other, silent)
    assert RUNS == ["a"]
    assert made.artifact.path.read_text() == ">a"
    assert reason in said[0]


def test_a_step_that_leaves_nothing_is_an_error(source: Artifact, bench: Workbench) -> None:
    with pytest.raises(StepError, match=r"append left no onnx file 'model.onnx'"):
        make(Recipe(name="f", steps=(Append(forgets=True),)), source, bench, silent)
    assert not list(bench.store.layout.staging.iterdir())


def test_every_recipe_is_checked_before_any_runs(source: Artifact, bench: Workbench) -> None:
    good, bad = Append(), Append(text="b", fails=True)
    with pytest.raises(StepError, match="cannot work"):
        check_recipes(
            [Recipe(name="g", steps=(good,)), Recipe(name="b", steps=(good, bad))], source, bench
        )
    assert RUNS == []


def test_a_step_after_the_wrong_format_is_refused(source: Artifact, bench: Workbench) -> None:
    other = msgspec.structs.replace(source, format=Format.TRANSFORMERS)
    with pytest.raises(StepError, match="takes onnx and would be given transformers"):
        check_recipes([Recipe(name="a", steps=(Append(),))], other, bench)


def test_any_one_difference_is_another_key(source: Artifact, bench: Workbench) -> None:
    def replace(what: object, **changes: object) -> object:
        return msgspec.structs.replace(what, **changes)  # type: ignore[type-var]

    base = (Append(), source, bench, {"msgspec": "1"})
    others = [
        (Append(text="b"), source, bench, {"msgspec": "1"}),
        (Append(), replace(source, digest="1" * 64), bench, {"msgspec": "1"}),
        (Append(), replace(source, entry="other.onnx"), bench, {"msgspec": "1"}),
        (Append(), source, replace(bench, seed=1), {"msgspec": "1"}),
        (Append(), source, bench, {"msgspec": "2"}),
        (
            Append(),
            source,
            replace(bench, interface=replace(INTERFACE, outputs=("z",))),
            {"msgspec": "1"},
        ),
    ]
    keys = [step_key(*arguments) for arguments in (base, *others)]  # type: ignore[arg-type]
    assert len(set(keys)) == len(keys)
    same = step_key(Append(), source, replace(bench, samples_digest="ff"), {"msgspec": "1"})  # type: ignore[arg-type]
    assert same == keys[0]


class Learn(Append, frozen=True, kw_only=True):
    """Learns from the lesson, where Append does not."""

    uses_lesson: ClassVar[bool] = True


def test_a_lesson_counts_for_those_that_learn(source: Artifact, bench: Workbench) -> None:
    def taught(digest: str) -> Workbench:
        lesson = Lesson(teacher=Path("t"), train=Path("a"), validation=Path("b"), digest=digest)
        return msgspec.structs.replace(bench, lesson=lesson)

    benches = (bench, taught("1"), taught("2"))
    assert len({step_key(Learn(), source, each, {}) for each in benches}) == 3
    assert len({step_key(Append(), source, each, {}) for each in benches}) == 1
