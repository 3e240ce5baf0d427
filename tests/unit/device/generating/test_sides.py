"""Which two language models can be compared, and what a reader has to know of them."""

import json
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import UsageError
from deployopt.core.measurement import Machine
from deployopt.core.workload import Workload
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.generating.sides import (
    LanguageSide,
    language_notes_of,
    language_side_of,
    require_same_tokens,
)
from deployopt.device.machine import describe_machine
from tests.fakes.decoders import CONTEXT, TinyDecoder
from tests.fakes.judged_decoders import DOCUMENTS, make_judged_bundle

TOKENIZER = {"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}}, "added_tokens": []}


@pytest.fixture(scope="module")
def machine() -> Machine:
    return describe_machine()


@pytest.fixture
def side(tmp_path: Path, machine: Machine) -> LanguageSide:
    return language_side_of(open_bundle(make_judged_bundle(tmp_path / "a")), machine)


def _other(tmp_path: Path, machine: Machine, **changes: object) -> LanguageSide:
    made = make_judged_bundle(tmp_path / "b", **changes)  # type: ignore[arg-type]
    return language_side_of(open_bundle(made), machine)


def test_a_bundle_as_a_side(side: LanguageSide) -> None:
    assert (side.told.name, side.told.outcome) == ("tiny-here", "accepted")
    assert set(side.files) == {"model/genai_config.json", "model/model.onnx"}
    assert (side.documents, side.answering.context) == (DOCUMENTS, CONTEXT)
    assert side.choices == ()
    assert side.is_same_model(side)
    assert language_notes_of(side, side) == (
        "Both are the same model: what differs is the machine's own noise.",
    )


def test_without_a_gate_there_is_nothing_to_ask(tmp_path: Path, machine: Machine) -> None:
    with pytest.raises(UsageError, match="holds no gate split"):
        _other(tmp_path, machine, without="gate/reference.npz")


def test_other_texts_other_references_and_other_workloads_are_told(
    side: LanguageSide, tmp_path: Path, machine: Machine
) -> None:
    texts = _other(tmp_path / "1", machine, seed=6, model=TinyDecoder(1))
    assert "both read the new one's 32 documents" in language_notes_of(side, texts)[0]
    reference = _other(tmp_path / "2", machine, reference=TinyDecoder(1), model=TinyDecoder(2))
    assert "each was judged by its own reference" in language_notes_of(side, reference)[0]
    work = msgspec.structs.replace(
        reference, target=msgspec.structs.replace(side.target, workload=Workload(answer=8))
    )
    assert "8 tokens in a context of 512" in language_notes_of(side, work)[0]


def _written(folder: Path, changes: dict[str, object]) -> Path:
    folder.mkdir()
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(TOKENIZER | changes))
    return path


def test_the_same_tokens_whatever_else_the_file_says(tmp_path: Path) -> None:
    old = _written(tmp_path / "old", {})
    new = _written(tmp_path / "new", {"truncation": {"max_length": 5}})
    require_same_tokens(("old", old), ("new", new))
    require_same_tokens(("old", tmp_path / "none"), ("new", tmp_path / "none either"))


@pytest.mark.parametrize("words", ["{", json.dumps({"model": {"vocab": {"b": 0}}})])
def test_other_tokens_are_refused(tmp_path: Path, words: str) -> None:
    old, new = _written(tmp_path / "old", {}), _written(tmp_path / "new", {})
    new.write_text(words)
    with pytest.raises(UsageError, match="their tokenizers differ"):
        require_same_tokens(("old", old), ("new", new))
    with pytest.raises(UsageError, match="their tokenizers differ"):
        require_same_tokens(("old", old), ("new", tmp_path / "none"))
