"""Dialogues split by content: disjoint, the same in any order, what resembles on one side."""

from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.sources.dialogue_data import DialogueData, read_dialogue_data
from deployopt.sources.training_lots import HELD_OUT, TRAIN, VALIDATION
from tests.fakes.dialogues import exchanges, messages, write_dialogues, write_lines


def contents(data: DialogueData) -> dict[str, set[str]]:
    return {name: {one.identity for one in part} for name, part in data.parts.items()}


def test_the_splits_are_disjoint_and_hold_everything(tmp_path: Path) -> None:
    found = contents(read_dialogue_data(str(write_dialogues(tmp_path / "d.jsonl", 200)), None))
    assert sum(map(len, found.values())) == 200
    assert not found[TRAIN] & found[HELD_OUT]
    assert not found[TRAIN] & found[VALIDATION]
    assert not found[VALIDATION] & found[HELD_OUT]
    assert len(found[VALIDATION]) >= 15
    assert len(found[HELD_OUT]) >= 24


def test_the_order_of_lines_does_not_matter(tmp_path: Path) -> None:
    rows = [messages(*one) for one in exchanges(80)]
    first = read_dialogue_data(str(write_lines(tmp_path / "a.jsonl", rows)), None)
    rows.reverse()
    second = read_dialogue_data(str(write_lines(tmp_path / "b.jsonl", rows)), None)
    assert contents(first) == contents(second)


def test_what_resembles_lies_on_one_side_whatever_the_system_prompt(tmp_path: Path) -> None:
    system = {"role": "system", "content": " ".join(f"rule{at}" for at in range(300))}
    rows = []
    for asked, said in exchanges(60):
        turns = messages(asked, said)["messages"]
        assert isinstance(turns, list)
        rows += [{"messages": [system, *turns]}, messages(asked, said.replace(".", "!"))]
    data = read_dialogue_data(str(write_lines(tmp_path / "d.jsonl", rows)), None)
    sides: dict[str, set[str]] = {}
    for name, part in data.parts.items():
        for one in part:
            asked = next(turn.content for turn in one.turns if turn.role == "user")
            sides.setdefault(asked, set()).add(name)
    assert all(len(found) == 1 for found in sides.values())
    assert any("60 near-duplicates" in note for note in data.notes)


def test_another_file_may_judge_and_is_not_trained_on(tmp_path: Path) -> None:
    rows = [messages(*one) for one in exchanges(60)]
    train = write_lines(tmp_path / "train.jsonl", rows)
    judge = write_lines(tmp_path / "judge.jsonl", rows[:12])
    data = read_dialogue_data(str(train), str(judge))
    assert data.judged_apart
    assert len(data.parts[HELD_OUT]) == 12
    assert not contents(data)[HELD_OUT] & (contents(data)[TRAIN] | contents(data)[VALIDATION])
    assert any(note.startswith("12 training dialogues resemble") for note in data.notes)
    assert data.where == {TRAIN: "train.jsonl", VALIDATION: "train.jsonl", HELD_OUT: "judge.jsonl"}


def test_too_little_is_refused(tmp_path: Path) -> None:
    few = write_dialogues(tmp_path / "few.jsonl", 20)
    with pytest.raises(UsageError, match="20 different lines; at least 30"):
        read_dialogue_data(str(few), None)
    with pytest.raises(UsageError, match="no file"):
        read_dialogue_data(str(tmp_path / "none.jsonl"), None)
    alike = [messages(f"{at}", "The same long answer to everything. " * 20) for at in range(60)]
    with pytest.raises(UsageError, match="near-duplicates of one another"):
        read_dialogue_data(str(write_lines(tmp_path / "alike.jsonl", alike)), None)
    other = write_lines(tmp_path / "text.jsonl", [{"text": f"words {at}"} for at in range(20)])
    with pytest.raises(UsageError, match="would not judge"):
        read_dialogue_data(str(write_dialogues(tmp_path / "d.jsonl")), str(other))
