"""The answer of a fresh process to a ScoreRequest: what a language model says of texts.

In: the request, whom to tell signs of life. Out: what the run took; the scores lie in a file. A
context is filled before anything else, so that the most memory so far is what that took.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import psutil

from deployopt.core.choices import decode_questions
from deployopt.core.errors import UsageError
from deployopt.core.samples import Array, decode_samples
from deployopt.core.scores import Scored, encode_scored
from deployopt.device.card_watch import watch_card
from deployopt.device.generating.answering import Asker, prompts_of
from deployopt.device.generating.choosing import Chooser
from deployopt.device.generating.decoder import Decoder, import_genai, open_decoder
from deployopt.device.generating.scoring import choices, document_nll, fill_context
from deployopt.device.generating.token_files import Answers, decode_answers
from deployopt.device.protocol import Evaluated, Say, ScoreRequest, Working
from deployopt.device.readings import peak_rss_bytes
from deployopt.device.setup import Answering
from deployopt.store.faults import storage_errors
from deployopt.store.writing import write_new_file

_S: Final = 1e-9
_SIGN_OF_LIFE_S: Final = 0.2


class Signs:
    """Says how much of the work is done, now and then."""

    def __init__(self, say: Say, total: int) -> None:
        self._say = say
        self._total = max(1, total)
        self._done = 0
        self._last = time.perf_counter_ns()

    def step(self, what: str, size: int = 1) -> None:
        """So much more is done."""
        self._done += size
        now = time.perf_counter_ns()
        if (now - self._last) * _S > _SIGN_OF_LIFE_S:
            self._say(Working(share=min(1.0, self._done / self._total), what=what))
            self._last = now


class Texts:
    """What the request names, read."""

    def __init__(self, request: ScoreRequest) -> None:
        answering = Answering(tokens=request.tokens, context=request.context)
        roomy = Answering(tokens=0, context=2**31)
        self.documents = prompts_of(decode_samples(request.documents), roomy)
        self.asked = prompts_of(decode_samples(request.asked), roomy)
        self.chosen: Answers = decode_answers(request.chosen, len(self.asked))
        self.timed = prompts_of(decode_samples(request.timed), answering)
        self.questions = () if request.choices is None else decode_questions(request.choices)
        self.answering = answering

    @property
    def tokens(self) -> int:
        """All that goes through the model."""
        chosen = sum(question.tokens for question in self.questions)
        asked = sum(
            prompt.size + len(one) for prompt, one in zip(self.asked, self.chosen, strict=True)
        )
        timed = sum(prompt.size + self.answering.tokens for prompt in self.timed)
        return sum(document.size for document in self.documents) + asked + timed + chosen


def score_texts(request: ScoreRequest, say: Say) -> Evaluated:
    """Load, fill a context, score the documents, choose at the positions, answer the prompts.

    Raises:
        UsageError: a text is none of the model's, or longer than it takes.
        IntegrityError: the model's files, or the answers given, are not what they should be.
        DeviceError: the runtime fails.
        StorageError: the scores cannot be written.
    """
    texts = Texts(request)
    import_genai()
    base = psutil.Process().memory_info().rss
    card = watch_card(request.setup.provider)
    decoder = open_decoder(request.setup, stops=False)
    start = time.perf_counter_ns()
    full = _filled(decoder, request, texts, say) if request.fill else None
    if full is not None and request.setup.provider != "cpu":
        full = None if card is None else card.memory_now()
    scored = _scored(decoder, texts, Signs(say, texts.tokens), full)
    seconds = (time.perf_counter_ns() - start) * _S
    with storage_errors("writing scores", request.result):
        write_new_file(request.result, encode_scored(scored))
    return Evaluated(
        requests=len(texts.documents) + len(texts.asked) + len(texts.timed),
        examples=len(texts.documents),
        non_finite=int((~np.isfinite(scored.nll)).sum()),
        peak_rss_bytes=peak_rss_bytes(),
        base_rss_bytes=base,
        seconds=seconds,
    )


def _filled(decoder: Decoder, request: ScoreRequest, texts: Texts, say: Say) -> int:
    limit = decoder.config.model.context_length
    if request.context > limit:
        raise UsageError(
            f"A context of {request.context} tokens is asked for, and the model takes {limit}."
        )
    for share in fill_context(decoder, request.context, np.concatenate(texts.documents)):
        say(Working(share=share, what="filling a context"))
    return peak_rss_bytes()


def _scored(decoder: Decoder, texts: Texts, signs: Signs, full: int | None) -> Scored:
    asker = Asker(decoder, texts.answering)

    def all_nll() -> Iterator[float]:
        for document in texts.documents:
            yield document_nll(decoder, document)
            signs.step("documents scored", document.size)

    def all_likelihoods() -> Iterator[tuple[float, ...]]:
        chooser = Chooser(decoder, texts.questions, lambda: signs.step("choices scored", 0))
        for question in texts.questions:
            yield chooser.likelihoods(question)
            signs.step("questions answered", question.tokens)

    def all_choices() -> Iterator[tuple[int, ...]]:
        for prompt, answer in zip(texts.asked, texts.chosen, strict=True):
            yield choices(decoder, prompt, answer)
            signs.step("choices compared", prompt.size + len(answer))

    return Scored(
        nll=tuple(all_nll()),
        counts=tuple(document.size - 1 for document in texts.documents),
        chosen=tuple(all_choices()),
        answers=tuple(_answers(asker, texts.timed, signs)),
        choices=tuple(all_likelihoods()),
        full_context_rss_bytes=full,
    )


def _answers(asker: Asker, prompts: Sequence[Array], signs: Signs) -> Iterator[tuple[int, ...]]:
    for prompt in prompts:
        answered = asker.answer(prompt)
        yield answered.tokens
        signs.step("prompts answered", prompt.size + len(answered.tokens))
