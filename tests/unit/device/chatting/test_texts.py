"""Conversations in the model's own form."""

from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.generation import Message
from deployopt.device.chatting.texts import Texts, has_template
from tests.fakes.talkers import END, NO_SYSTEM, START, TEMPLATE, make_talker
from tests.unit.device.chatting.conftest import decoder_of, texts_of

HELLO = [Message(role="user", content="Hi 你好")]


def opened(folder: Path, template: str | None) -> Texts:
    made = make_talker(folder / "talker", template=template)
    return texts_of(made, decoder_of(made))


def test_turns_become_the_template_s_tokens(tmp_path: Path) -> None:
    texts = opened(tmp_path, TEMPLATE)
    ids = texts.write(HELLO)
    assert texts.chat
    assert texts.takes_system
    assert ids[0] == START
    assert bytes(i for i in ids if i < START).decode() == "user\nHi 你好\nassistant\n"
    assert texts.read(ids) == "user\nHi 你好\nassistant\n"


def test_words_of_the_template_in_a_message_are_read_as_they_are_written(tmp_path: Path) -> None:
    ids = opened(tmp_path, TEMPLATE).write([Message(role="user", content='{{ 1 }} "\\" {% x %}')])
    assert b'{{ 1 }} "\\" {% x %}' in bytes(i for i in ids if i < START)


def test_a_template_without_a_place_for_a_system_prompt(tmp_path: Path) -> None:
    texts = opened(tmp_path, NO_SYSTEM + TEMPLATE)
    assert texts.chat
    assert not texts.takes_system
    with pytest.raises(UsageError, match="no system here"):
        texts.write([Message(role="system", content="x"), *HELLO])


def test_a_template_that_leaves_the_system_prompt_out(tmp_path: Path) -> None:
    texts = opened(tmp_path, TEMPLATE.replace("%}{{", "%}{% if message.role != 'system' %}{{", 1)
                   .replace("{% endfor %}", "{% endif %}{% endfor %}"))  # fmt: skip
    assert texts.chat
    assert not texts.takes_system


@pytest.mark.parametrize("template", [None, "{% for x in %}", "{{ raise_exception('never') }}"])
def test_without_a_template_that_works_a_text_is_read_as_it_is(
    tmp_path: Path, template: str | None
) -> None:
    texts = opened(tmp_path, template)
    assert not texts.chat
    assert has_template(tmp_path / "talker") is (template is not None)
    assert texts.why_not
    assert bytes(texts.write(HELLO)).decode() == "Hi 你好"


def test_a_template_may_stand_in_the_tokenizer_s_config(tmp_path: Path) -> None:
    folder = make_talker(tmp_path / "talker", template=None)
    assert not has_template(folder)
    (folder / "tokenizer_config.json").write_text('{"chat_template": "x"}')
    assert has_template(folder)


def test_special_tokens_are_not_shown(tmp_path: Path) -> None:
    assert opened(tmp_path, None).read([START, 65, END]) == "A"


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": 1}')
    with pytest.raises(IntegrityError, match="not a tokenizer"):
        Texts(tmp_path, None)
