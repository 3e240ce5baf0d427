"""A model's own template, and what it stumbles over as one paragraph."""

from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.generation import Message
from tests.fakes.chat import write_tiny_llama

pytestmark = pytest.mark.torch
HELLO = [Message(role="user", content="Hello")]


def test_it_is_filled_in(tmp_path: Path) -> None:
    from deployopt.modeling.language.templates import ChatTemplate

    template = ChatTemplate(write_tiny_llama(tmp_path / "m"))
    said = "<|im_start|>user\nHello<|im_end|>\n"
    assert template.fill(HELLO, prompt=False) == said
    assert template.fill(HELLO, prompt=True) == f"{said}<|im_start|>assistant\n"


@pytest.mark.parametrize(
    "text",
    ["{{ messages[4]['content'] }}", "{{ 1 / 0 }}", "{{ raise_exception('no') }}", "{{ x() }}",
     "{{ messages.__class__.__mro__ }}", "{% include 'x' %}"],
)  # fmt: skip
def test_what_fails_in_it_is_no_traceback(tmp_path: Path, text: str) -> None:
    from deployopt.modeling.language.templates import ChatTemplate

    folder = write_tiny_llama(tmp_path / "m")
    (folder / "chat_template.jinja").write_text(text, "utf-8")
    with pytest.raises(UsageError, match="has no form for these turns"):
        ChatTemplate(folder).fill(HELLO, prompt=True)


def test_a_folder_without_one_is_refused(tmp_path: Path) -> None:
    from deployopt.modeling.language.templates import ChatTemplate

    folder = write_tiny_llama(tmp_path / "m")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(UsageError, match="has no chat template"):
        ChatTemplate(folder)
