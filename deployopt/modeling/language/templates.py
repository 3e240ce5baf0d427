"""A model's own chat template, filled in by transformers; opened in confined processes only.

In: a folder in Hugging Face form, turns. Out: their text, as the model reads them. Refuses turns
that the template has no form for. A template is a program, if one of few means: it may run for
long, and fill the memory.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerFast

from deployopt.core.errors import UsageError
from deployopt.core.generation import Message
from deployopt.core.text import safe_text
from deployopt.modeling.quiet import quiet_transformers

_SHOWN: Final = 200
_TRIPS: Final = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class ChatTemplate:
    """The template of one folder."""

    def __init__(self, folder: Path) -> None:
        """Raise UsageError where there is none, or what is there cannot be opened."""
        with quiet_transformers():
            try:
                self._tokenizer = PreTrainedTokenizerFast.from_pretrained(
                    folder, local_files_only=True
                )
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise UsageError(
                    f"The tokenizer's options in {folder} do not open: {safe_text(str(error), 300)}"
                ) from error
        if not self._tokenizer.chat_template:
            raise UsageError(f"{folder} has no chat template.")

    def fill(self, messages: Sequence[Message], *, prompt: bool) -> str:
        """The turns as one text; with `prompt` the answer's beginning too.

        Raises:
            UsageError: the template has no form for these turns.
        """
        turns = [{"role": one.role, "content": one.content} for one in messages]
        try:
            text = self._tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=prompt
            )
        # Templates raise what they like, and trip over types and lists as any program does.
        except (TemplateError, *_TRIPS) as error:
            raise UsageError(
                "the model's chat template has no form for these turns: "
                f"{safe_text(str(error), _SHOWN)}"
            ) from error
        return str(text)
