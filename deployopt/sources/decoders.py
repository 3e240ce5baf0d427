"""A causal language model's folder, read as data: how much it takes, and whether it chats.

In: the folder, its config. Out: PromptInputs. Refuses a config without the sizes that a device
needs to know, and a tokenizer of another model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deployopt.core.decoders import DECODER_CLASSES, unknown_decoder
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import PromptInputs
from deployopt.sources.checks import CHAT_TEMPLATE, read_object
from deployopt.sources.tokenizer_files import Opener, read_tokenizer
from deployopt.sources.weights import looks_like_pickle

SUFFIX: Final = "ForCausalLM"
CONTEXT_MIN: Final = 16
CONTEXT_MAX: Final = 2**24
_OPTIONS: Final = "tokenizer_config.json"


def check_class(config: Mapping[str, object], where: str) -> None:
    """Raise UsageError where no build makes this class; before the sizes that only others have."""
    classes = config.get("architectures")
    name = str(classes[0]) if isinstance(classes, list) and classes else "nothing"
    if name not in DECODER_CLASSES:
        raise UsageError(f"{where}: {unknown_decoder(name)}")


def prompt_inputs(
    folder: Path, config: Mapping[str, object], opener: Opener | None = None
) -> PromptInputs:
    """What it takes, by its config and its tokenizer; `opener` as of read_folder.

    Raises:
        UsageError: the config does not say, or the tokenizer is of another model.
        RefusedInputError: the tokenizer could break a reader.
    """
    where = folder / "config.json"
    context = config.get("max_position_embeddings")
    if not isinstance(context, int) or not CONTEXT_MIN <= context <= CONTEXT_MAX:
        raise UsageError(
            f"{where}: max_position_embeddings is {context!r}; a language model says there how "
            f"many tokens it takes, {CONTEXT_MIN} at least."
        )
    rows = config.get("vocab_size")
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise UsageError(f"{where}: vocab_size is {rows!r}, not a number of tokens.")
    read_tokenizer(folder, config, opener)
    return PromptInputs(context=_within_window(config, context), chat=has_template(folder))


_SLIDES_RIGHT: Final = frozenset({"gemma2", "gemma3_text"})
"""Classes that say in the runtime what torch says also of tokens that left a layer's window."""


def _within_window(config: Mapping[str, object], context: int) -> int:
    """No more than a layer's sliding window, where the runtime is another model beyond it."""
    window = config.get("sliding_window")
    if config.get("model_type") in _SLIDES_RIGHT:
        return context
    slides = config.get("use_sliding_window") is not False
    if slides and isinstance(window, int) and window >= CONTEXT_MIN:
        return min(context, window)
    return context


def read_template(path: Path) -> str:
    """The text of a chat template.

    Raises:
        RefusedInputError: it is a pickle or an archive.
        UsageError: it is no text.
    """
    data = path.read_bytes()
    if looks_like_pickle(data[:8]):
        raise RefusedInputError(f"{path} holds a pickle or an archive and was not opened.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start}).") from error
    if "\0" in text:
        raise UsageError(f"{path} holds a zero byte; it is no text.")
    return text


def has_template(folder: Path) -> bool:
    """Whether the folder says how turns become one text, in a file of its own or in the options."""
    if (folder / CHAT_TEMPLATE).exists():
        return bool(read_template(folder / CHAT_TEMPLATE).strip())
    path = folder / _OPTIONS
    return bool(path.exists() and read_object(path).get("chat_template"))
