"""Dialogues rendered in the confined process: in order, lot by lot, troubles with their line."""

from pathlib import Path

import pytest

from deployopt.core.dialogues import Dialogue, Form, Turn
from deployopt.core.errors import UsageError
from deployopt.pipeline.language import rendering
from deployopt.pipeline.language.rendering import Renderer
from deployopt.sources.training_base import TrainingBase, resolve_base
from deployopt.store.store import Store
from tests.fakes.chat import write_tiny_llama
from tests.fakes.dialogues import exchanges

STRICT = (
    "{% for message in messages %}{% if message['content'] == 'bad' %}"
    "{{ raise_exception('no such word') }}{% endif %}{{ message['content'] }}\n{% endfor %}"
)


def dialogue(asked: str, said: str, line: int) -> Dialogue:
    turns = (Turn(role="user", content=asked), Turn(role="assistant", content=said))
    return Dialogue(turns=turns, line=line)


def base_of(folder: Path, tmp_path: Path) -> TrainingBase:
    with Store(tmp_path / "store") as store:
        return resolve_base(str(folder), store)


def test_turns_need_a_template(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path / "m")
    (folder / "chat_template.jinja").unlink()
    base = base_of(folder, tmp_path)
    with pytest.raises(UsageError, match="has no chat template, so nothing says"):
        Renderer(base, Form.MESSAGES)
    assert not Renderer(base, Form.PROMPT).templated


@pytest.mark.torch
def test_lots_come_back_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_LOT_MOST", 4)
    base = base_of(write_tiny_llama(tmp_path / "m"), tmp_path)
    dialogues = [dialogue(*one, line) for line, one in enumerate(exchanges(11), start=1)]
    with Renderer(base, Form.MESSAGES) as renderer:
        found = renderer.render(dialogues, "d.jsonl")
    assert [one.of for one in found.samples] == list(range(11))
    for one, text in zip(dialogues, found.texts, strict=True):
        assert one.turns[0].content in text
        assert one.turns[1].content in text
    assert all(one.judged > 1 for one in found.samples)


@pytest.mark.torch
def test_what_a_template_refuses_is_said_with_its_line(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path / "m")
    (folder / "chat_template.jinja").write_text(STRICT, "utf-8")
    base = base_of(folder, tmp_path)
    with (
        Renderer(base, Form.MESSAGES) as renderer,
        pytest.raises(UsageError, match=r"d\.jsonl, line 9: .*no such word"),
    ):
        renderer.render([dialogue("good", "fine", 4), dialogue("bad", "fine", 9)], "d.jsonl")


@pytest.mark.torch
def test_a_template_that_is_no_program_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path / "m")
    (folder / "chat_template.jinja").write_text("{% for %}", "utf-8")
    base = base_of(folder, tmp_path)
    with (
        pytest.raises(UsageError, match="chat template has no form"),
        Renderer(base, Form.MESSAGES),
    ):
        pass
