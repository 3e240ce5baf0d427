"""Running text becomes documents to choose by and to judge by, by content and seed."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import UsageError
from deployopt.core.measurement import Split
from deployopt.core.samples import decode_samples
from deployopt.core.source import Dataset, SourceModel
from deployopt.sources import documents as module
from deployopt.sources.document_counts import GATE_DOCUMENTS, SEARCH_DOCUMENTS
from deployopt.sources.documents import (
    DOCUMENT_TOKENS,
    PROMPT_TOKENS,
    load_documents,
    prompts_of,
)
from deployopt.sources.models import resolve_model
from deployopt.sources.parts import DataOptions
from deployopt.sources.tokenizer_files import open_tokenizer
from deployopt.store.store import Store
from tests.fakes.chat import sentences, write_tiny_llama


@pytest.fixture
def model(tmp_path: Path, store: Store) -> SourceModel:
    return resolve_model(str(write_tiny_llama(tmp_path / "model")), store=store)


def text_file(tmp_path: Path, texts: list[str], name: str = "text.txt") -> Path:
    path = tmp_path / name
    path.write_text("\n\n".join(texts), encoding="utf-8")
    return path


def ids(dataset: Dataset, split: Split) -> list[list[int]]:
    return [feed["input_ids"][0].tolist() for feed in decode_samples(dataset.splits[split].path)]


def test_documents_end_at_blank_lines(tmp_path: Path, model: SourceModel, store: Store) -> None:
    texts = sentences(40)
    path = text_file(tmp_path, texts)
    found = load_documents(str(path), model=model, store=store)
    assert set(found.splits) == {Split.SEARCH, Split.GATE}
    assert (found.splits[Split.SEARCH].examples, found.splits[Split.GATE].examples) == (10, 30)
    assert not found.labelled
    assert any("does not show whether answers are right" in note for note in found.notes)
    (first,) = decode_samples(found.splits[Split.SEARCH].path)[:1]
    assert first["input_ids"].dtype == np.int64
    assert first["input_ids"].shape[0] == 1
    tokenizer = open_tokenizer(model.artifact.folder / "tokenizer.json")
    known = {tuple(tokenizer.encode(text).ids[:DOCUMENT_TOKENS]) for text in texts}
    both = ids(found, Split.SEARCH) + ids(found, Split.GATE)
    assert {tuple(one) for one in both} == known


def test_the_order_of_the_file_does_not_matter_and_the_seed_does(
    tmp_path: Path, model: SourceModel, store: Store
) -> None:
    texts = sentences(40)
    first = load_documents(str(text_file(tmp_path, texts)), model=model, store=store)
    turned = load_documents(str(text_file(tmp_path, texts[::-1])), model=model, store=store)
    other = load_documents(str(text_file(tmp_path, texts)), model=model, store=store, seed=1)
    assert turned.splits[Split.GATE].digest == first.splits[Split.GATE].digest
    assert other.splits[Split.GATE].digest != first.splits[Split.GATE].digest


def test_at_most_so_many_and_so_long(tmp_path: Path, model: SourceModel, store: Store) -> None:
    path = text_file(tmp_path, sentences(200, words=300))
    found = load_documents(str(path), model=model, store=store)
    assert found.splits[Split.SEARCH].examples == SEARCH_DOCUMENTS
    assert found.splits[Split.GATE].examples == GATE_DOCUMENTS
    assert {len(one) for one in ids(found, Split.GATE)} == {DOCUMENT_TOKENS}


def test_what_is_left_calibrates_and_judging_comes_first(
    tmp_path: Path, model: SourceModel, store: Store
) -> None:
    judging = SEARCH_DOCUMENTS + GATE_DOCUMENTS
    texts = sentences(judging + 100)
    few, some, many = (
        load_documents(
            str(text_file(tmp_path, texts[: judging + more], f"{more}.txt")),
            model=model,
            store=store,
        )
        for more in (15, 16, 100)
    )
    assert Split.CALIBRATION not in few.splits
    assert some.splits[Split.CALIBRATION].examples == 16
    assert many.splits[Split.CALIBRATION].examples == 64
    parts = [{tuple(one) for one in ids(many, split)} for split in Split]
    assert len(set.union(*parts)) == sum(len(part) for part in parts) == judging + 64


def test_what_repeats_or_is_short_is_left_out(
    tmp_path: Path, model: SourceModel, store: Store
) -> None:
    texts = sentences(30)
    texts += [texts[0], texts[1].upper(), f"{texts[2]} indeed", "Too short to count here."]
    found = load_documents(str(text_file(tmp_path, texts)), model=model, store=store)
    assert sum(split.examples for split in found.splits.values()) == 30
    assert any("2 like another one" in note for note in found.notes)
    assert any("1 shorter than 24 tokens" in note for note in found.notes)


def test_too_little_text_says_how_much_is_needed(
    tmp_path: Path, model: SourceModel, store: Store
) -> None:
    path = text_file(tmp_path, sentences(23))
    with pytest.raises(UsageError, match=r"gives 23 documents.*At least 24.*152"):
        load_documents(str(path), model=model, store=store)
    single = text_file(tmp_path, ["word " * 100_000])
    with pytest.raises(UsageError, match=r"gives 1 documents.*a blank line"):
        load_documents(str(single), model=model, store=store)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_tables_need_a_text_column_only(
    tmp_path: Path, model: SourceModel, store: Store, suffix: str
) -> None:
    path, texts = tmp_path / f"data{suffix}", sentences(30)
    with path.open("w", newline="") as stream:
        if suffix == ".csv":
            csv.writer(stream).writerows([["id", "story"], *enumerate(texts)])
        else:
            stream.writelines(json.dumps({"story": text}) + "\n" for text in texts)
    with pytest.raises(UsageError, match="--column text=NAME"):
        load_documents(str(path), model=model, store=store)
    options = DataOptions(columns={"text": "story"})
    found = load_documents(str(path), model=model, store=store, options=options)
    assert sum(split.examples for split in found.splits.values()) == 30


@pytest.mark.parametrize("name", ["hub:datasets/a/b", "synthetic", "demo-sentiment"])
def test_other_data_is_refused(model: SourceModel, store: Store, name: str) -> None:
    with pytest.raises(UsageError, match="no text that a language model is judged by"):
        load_documents(name, model=model, store=store)


def test_a_file_of_another_kind_is_told_what_is_read(
    tmp_path: Path, model: SourceModel, store: Store
) -> None:
    (tmp_path / "texts.docx").write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"Give a \.txt file whose documents end at blank lines"):
        load_documents(str(tmp_path / "texts.docx"), model=model, store=store)


def test_bad_files_are_told(tmp_path: Path, model: SourceModel, store: Store) -> None:
    with pytest.raises(UsageError, match="brings no text"):
        load_documents(None, model=model, store=store)
    latin = tmp_path / "latin.txt"
    latin.write_bytes("caf\xe9\n\n".encode("latin-1") * 50)
    with pytest.raises(UsageError, match="not UTF-8"):
        load_documents(str(latin), model=model, store=store)
    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(UsageError, match="is empty"):
        load_documents(str(empty), model=model, store=store)


def test_the_editorials_of_the_demo(
    model: SourceModel, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import msgspec

    from deployopt.store.keys import cache_key
    from deployopt.store.writing import write_new_file

    with store.stage() as staged:
        write_new_file(staged / "archive", b"x")
        stored = store.commit(staged, cache_key({"a": 1}))
    monkeypatch.setattr(module, "stored_archive", lambda _store, _alias: stored)
    monkeypatch.setattr(module, "read_demo_articles", lambda _path: sentences(40))
    demo = msgspec.structs.replace(model, default_data="demo-chat")
    found = load_documents(None, model=demo, store=store)
    assert found.name == "demo-chat"
    assert found.origin.asked == "demo-chat data"
    assert any("editorials" in note for note in found.notes)


def test_a_prompt_is_how_a_document_begins(
    tmp_path: Path, model: SourceModel, store: Store
) -> None:
    path = text_file(tmp_path, sentences(40, words=100))
    found = decode_samples(
        load_documents(str(path), model=model, store=store).splits[Split.GATE].path
    )
    prompts = prompts_of(found, 4)
    assert len(prompts) == 4
    assert all(prompt["input_ids"].shape == (1, PROMPT_TOKENS) for prompt in prompts)
    assert (prompts[2]["input_ids"] == found[2]["input_ids"][:, :PROMPT_TOKENS]).all()


def test_tokens_that_end_a_text_are_not_part_of_it(tmp_path: Path, store: Store) -> None:
    folder = write_tiny_llama(tmp_path / "m")
    path = folder / "tokenizer.json"
    whole = json.loads(path.read_text())
    whole["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "<|im_end|>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            "<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]},
            "<|im_end|>": {"id": "<|im_end|>", "ids": [2], "tokens": ["<|im_end|>"]},
        },
    }  # fmt: skip
    path.write_text(json.dumps(whole))
    model = resolve_model(str(folder), store=store)
    found = load_documents(
        str(text_file(tmp_path, sentences(30, words=20))), model=model, store=store
    )
    for one in ids(found, Split.GATE):
        assert one[0] == 1
        assert one[-1] != 2
