"""What tuning starts from: options for the dialogues, samples of a length, a file to judge by."""

import json
from pathlib import Path
from typing import Any

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.memory import Method
from deployopt.core.training_request import FinetuneRequest
from deployopt.core.watching import SILENT
from deployopt.pipeline.language.tuning import (
    PreparedDialogues,
    held_out_lines,
    prepare_dialogues,
)
from deployopt.planning.targets import load_target
from deployopt.sources.dialogues import read_dialogues
from deployopt.sources.training_base import resolve_base
from deployopt.sources.training_lots import HELD_OUT, TRAIN
from deployopt.store.store import Store
from tests.fakes.chat import write_tiny_llama
from tests.fakes.dialogues import exchanges, messages, write_lines
from tests.fakes.models import write_target

pytestmark = pytest.mark.torch


def prepared(tmp_path: Path, rows: list[dict[str, object]], **options: Any) -> PreparedDialogues:
    folder = tmp_path / "m"
    if not folder.exists():
        write_tiny_llama(folder)
    data = write_lines(tmp_path / "d.jsonl", rows)
    target = load_target(str(write_target(tmp_path / "here.toml")))
    with Store(tmp_path / "store") as store:
        request = FinetuneRequest(
            model=str(folder), data=str(data), output=tmp_path / "out", **options
        )
        base = resolve_base(str(folder), store)
        return prepare_dialogues(request, base, lambda: target, SILENT)


def rows(count: int) -> list[dict[str, object]]:
    return [messages(*one) for one in exchanges(count)]


def test_few_dialogues_train_adapters_at_their_own_length(tmp_path: Path) -> None:
    found = prepared(tmp_path, rows(60))
    options = found.settled.options
    assert options.method is Method.LORA
    assert options.rank == 8
    longest = max(len(one.ids) for one in found.parts[TRAIN])
    assert longest <= options.length < longest + 8
    assert found.judged == 2 * len(found.parts[HELD_OUT])
    assert any("own chat template" in note for note in found.notes)


def test_the_held_out_lines_are_read_again_as_they_were(tmp_path: Path) -> None:
    given = rows(60)
    for row in given:
        turns = row["messages"]
        assert isinstance(turns, list)
        row["messages"] = [*turns[:1], turns[1] | {"weight": 0}, *turns]
    found = prepared(tmp_path, given)
    path = tmp_path / "held.jsonl"
    path.write_bytes(held_out_lines(found))
    again = read_dialogues(path).dialogues
    assert [one.turns for one in again] == [one.turns for one in found.data.parts[HELD_OUT]]
    lines = path.read_text("utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == list(found.texts)


def test_a_length_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"d\.jsonl leaves too little for the train split within"):
        prepared(tmp_path, rows(60), length=12)
