"""A language model that is open: prompts go in as token ids, tokens come out one by one.

In: a Setup whose model is a genai_config.json. Out: a Decoder; of it Generations, each with a
context of its own. Refuses what config.py refuses, a provider that is not the file's, a card that
is not there (cards.py), and a machine without onnxruntime-genai.
"""

import json
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, Final

import numpy as np

from deployopt.core.errors import DeviceError, IntegrityError, UsageError
from deployopt.core.quiet import GENAI_PACKAGES, genai_missing
from deployopt.core.samples import Array
from deployopt.core.text import safe_text
from deployopt.device.generating.cards import require_card, require_cuda, require_on_card
from deployopt.device.generating.config import CONFIG, GenaiConfig, read_genai_config
from deployopt.device.session_entries import allowed_entries
from deployopt.device.setup import Setup

PIECE: Final = 64
"""Tokens of a prompt that are taken at once: logits come for each of them, 600 KB a token where the
vocabulary is large."""
_CPU: Final = "cpu"
_QUIET: Final = 4
_LOGITS: Final = "logits"
FAILURES: Final = (RuntimeError, ValueError, TypeError, IndexError)
_TOO_NEW: Final = re.compile(r"is till opset|max supported IR version|is not a registered function")

Search = Mapping[str, float | int | bool]
GREEDY: Final[Search] = {
    "do_sample": False,
    "num_beams": 1,
    "num_return_sequences": 1,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
}
"""The likeliest token each time, whatever the model's file says of sampling."""


def import_genai() -> Any:  # noqa: ANN401 -- the module
    """The runtime.

    Raises:
        DeviceError: it is not installed.
    """
    try:
        import onnxruntime_genai
    except (ImportError, OSError) as error:
        raise DeviceError(genai_missing(safe_text(str(error), 200))) from error
    return onnxruntime_genai


def import_cuda() -> Any:  # noqa: ANN401 -- the module
    """The runtime with CUDA, where there is a card.

    Raises:
        DeviceError: there is no driver or card, or the runtime is missing or another.
    """
    require_card()
    genai = import_genai()
    require_cuda(genai)
    return genai


def genai_version() -> str:
    """Of the package that is installed, whichever of its kinds."""
    for name in GENAI_PACKAGES:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "?"


def open_decoder(setup: Setup, *, stops: bool) -> "Decoder":
    """Open the model, on the setup's threads and no others.

    `stops` says whether an answer ends with the model's own end of text. Without, that token is
    never chosen, so that every answer is as long as it is asked to be.

    Raises:
        IntegrityError: the model is newer than the runtime.
        RefusedInputError: its files or session entries are not allowed.
        DeviceError: the runtime or the provider is not there, or it refuses.
    """
    if setup.model.name != CONFIG:
        raise IntegrityError(f"{setup.model.name} is not what a language model is opened by.")
    config = read_genai_config(setup.model)
    if setup.provider != config.provider:
        raise DeviceError(
            f"The model is for the provider {config.provider}, and the target asks for "
            f"{setup.provider!r}. Build it for a target whose provider is that."
        )
    genai = import_genai() if setup.provider == _CPU else import_cuda()
    if setup.session.disabled_optimizers:
        raise DeviceError("onnxruntime-genai leaves out no optimizers of graphs.")
    options = {
        "intra_op_num_threads": setup.threads,
        "inter_op_num_threads": 1,
        "log_severity_level": _QUIET,
        **dict(allowed_entries(setup.session)),
    }
    try:
        settings = genai.Config(str(setup.model.parent))
        settings.overlay(json.dumps({"model": {"decoder": {"session_options": options}}}))
        model = genai.Model(settings)
    except MemoryError as error:
        raise DeviceError("The model needs more memory than it may take.") from error
    except FAILURES as error:
        raise _explain(str(error)) from error
    if setup.provider != _CPU:
        require_on_card(model)
    return Decoder(genai, model, config, stops=stops)


class Decoder:
    """An open model; not for several threads at once."""

    def __init__(
        self,
        genai: Any,  # noqa: ANN401 -- the module
        model: Any,  # noqa: ANN401 -- its Model
        config: GenaiConfig,
        *,
        stops: bool,
    ) -> None:
        self._genai = genai
        self._stops = stops
        self.model = model
        """The runtime's own."""
        self.config = config

    def begin(self, context: int, search: Search = GREEDY) -> "Generation":
        """A new text with room for `context` tokens; the names in `search` are the runtime's.

        Raises:
            DeviceError: there is no memory for it, or the model takes less.
        """
        least = {} if self._stops else {"min_length": context}
        try:
            params = self._genai.GeneratorParams(self.model)
            params.set_search_options(**{**search, "max_length": context, **least})
            generator = self._genai.Generator(self.model, params)
        except MemoryError as error:
            raise DeviceError("The model needs more memory than it may take.") from error
        except FAILURES as error:
            raise _failed(error) from error
        return Generation(generator, self.config.model.vocab_size, self.config.paddings)


class Generation:
    """One text: what was taken and what was chosen."""

    def __init__(
        self,
        generator: Any,  # noqa: ANN401 -- the runtime's Generator
        vocabulary: int,
        paddings: Container[int],
    ) -> None:
        self._generator = generator
        self._vocabulary = vocabulary
        self._paddings = paddings
        self._chosen: list[int] = []

    @property
    def count(self) -> int:
        """Tokens so far."""
        return int(self._generator.token_count())

    @property
    def done(self) -> bool:
        """Whether the text has ended, or fills its context."""
        return bool(self._generator.is_done())

    def take(self, tokens: Sequence[int] | Array) -> None:
        """Go on with these, piece by piece.

        Raises:
            UsageError: there are none, or one is none of the model's.
            DeviceError: the context is too short, or the runtime fails.
        """
        for _ in self._pieces(tokens):
            pass

    def rows(self, tokens: Sequence[int] | Array) -> Iterator[Array]:
        """As `take`, with the logits that follow each token: float32 `[n, vocabulary]` a piece."""
        for _ in self._pieces(tokens):
            try:
                found: Array = self._generator.get_output(_LOGITS)
            except FAILURES as error:
                raise _failed(error) from error
            yield found.reshape(-1, found.shape[-1]).astype(np.float32, copy=False)

    def _pieces(self, tokens: Sequence[int] | Array) -> Iterator[None]:
        """Append piece after piece."""
        given = np.asarray(tokens, dtype=np.int64).reshape(-1)
        if not given.size or given.min() < 0 or given.max() >= self._vocabulary:
            raise UsageError(
                f"A prompt is one or more token ids from 0 to {self._vocabulary - 1}; this one is "
                "not. The text was read with another model's tokenizer, or is empty."
            )
        self._chosen = []
        for start in range(0, given.size, PIECE):
            piece = given[start : start + PIECE].astype(np.int32)
            # Of several tokens the runtime goes on from the last that is no padding, and a prompt
            # may well end in a token that a file also names for that; one alone it takes as it is.
            whole = piece.size
            while whole and int(piece[whole - 1]) in self._paddings:
                whole -= 1
            for part in (piece[:whole], *piece[whole:].reshape(-1, 1)):
                if part.size:
                    self._append(part)
                    yield

    def next(self) -> int:
        """Choose the next token.

        Raises:
            DeviceError: the context is full, or the runtime fails.
        """
        try:
            self._generator.generate_next_token()
            token = int(self._generator.get_next_tokens()[0])
        except MemoryError as error:
            raise DeviceError("The model needs more memory than it may take.") from error
        except FAILURES as error:
            raise _failed(error) from error
        self._chosen = [*self._chosen[-1:], token]
        return token

    def rewind(self, count: int) -> None:
        """Keep the first `count` tokens only."""
        self._chosen = []
        try:
            self._generator.rewind_to(count)
        except FAILURES as error:
            raise _failed(error) from error

    def repeat(self) -> None:
        """Choose the last token once more, with the work that this takes; nothing changes.

        Does nothing before two tokens were chosen: the first comes of the prompt, which would have
        to be taken again.

        Raises:
            DeviceError: it is another token this time.
        """
        if len(self._chosen) < 2:  # noqa: PLR2004 -- the last, and the one that it follows
            return
        before, last = self._chosen
        self.rewind(self.count - 2)
        self._append(np.asarray([before], dtype=np.int32))
        found = self.next()
        if found != last:
            raise DeviceError("The model chooses another token where it is asked a second time.")
        self._chosen = [before, last]

    def _append(self, piece: Array) -> None:
        try:
            self._generator.append_tokens(piece)
        except MemoryError as error:
            raise DeviceError("The model needs more memory than it may take.") from error
        except FAILURES as error:
            raise _failed(error) from error


def _failed(error: BaseException) -> DeviceError:
    return DeviceError(f"onnxruntime-genai failed: {safe_text(str(error), 400)}")


def _explain(text: str) -> DeviceError | IntegrityError:
    have = genai_version()
    said = safe_text(text, 400)
    if _TOO_NEW.search(text):
        return IntegrityError(
            f"The model is newer than the runtime here (onnxruntime-genai {have} over its "
            f"onnxruntime): {said} Install a newer one, or build for this one."
        )
    return DeviceError(f"onnxruntime-genai {have} could not open the model: {said}")
