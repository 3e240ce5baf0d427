"""The model's side of a conversation: what it remembers of it, and its next answer.

In: whole conversations, each beginning as the one before it did, mostly. Out: pieces of text, then
how the answer went. Keys and values of the tokens that are the same from the start are kept, so
that only what is new is read; up to rounding the answer is that of a model that reads all again.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from deployopt.core.errors import UsageError
from deployopt.core.generation import Ended, Sampling
from deployopt.device.chatting.pieces import Pieces
from deployopt.device.chatting.prompts import Prompt, common_start, fitting_prompt
from deployopt.device.chatting.texts import Texts
from deployopt.device.chatting.words import Answered, Piece, Reading, Reply, Say
from deployopt.device.generating.config import GenaiConfig
from deployopt.device.generating.decoder import PIECE, Decoder, Generation, Search

_NS: Final = 1e-9
Tell = Callable[[Reply], None]
Stopped = Callable[[], bool]


class Speaker:
    """An open model with at most one text in its memory."""

    def __init__(self, decoder: Decoder, texts: Texts, context: int) -> None:
        self._decoder = decoder
        self._texts = texts
        self._context = context
        self._generation: Generation | None = None
        self._sampling = Sampling()
        self._ids: list[int] = []
        """Tokens that the model has read: what it chose last is not among them."""

    def answer(self, said: Say, tell: Tell, stopped: Stopped) -> Answered:
        """Tell the next answer piece by piece, as long as `stopped` says no.

        Raises:
            UsageError: the last message is too long, or the template has no form for it.
            DeviceError: the runtime failed.
        """
        start = time.perf_counter_ns()
        most = said.sampling.max_tokens
        prompt = fitting_prompt(said.messages, self._texts.write, self._context, most)
        if not prompt.ids:
            raise UsageError("For this model's tokenizer the message is empty. Say something else.")
        kept, generation = self._prepare(said, prompt.ids)
        answer = _Answer(Pieces(self._texts.read), tell)
        if self._take(generation, prompt.ids, tell, stopped):
            most = self._context - len(prompt.ids) if most is None else most
            answer.ended = self._generate(generation, answer, most, stopped)
        answer.finish()
        return answer.summary(prompt, kept, start)

    def _prepare(self, said: Say, ids: Sequence[int]) -> tuple[int, Generation]:
        """A generation that has read a beginning of `ids`, and how many of them."""
        generation = self._generation
        if generation is None or said.fresh or said.sampling != self._sampling:
            self._generation = None  # its memory goes before the next one's comes
            search = search_of(said.sampling, self._decoder.config)
            generation = self._decoder.begin(self._context, search)
            self._generation, self._sampling, self._ids = generation, said.sampling, []
        # The last token is read again: of it comes the first of the answer.
        kept = min(common_start(self._ids, ids), len(ids) - 1)
        if kept < generation.count:
            # The runtime goes back behind the last token that was read, not to its end.
            kept = min(kept, len(self._ids) - 1)
            generation.rewind(kept)
        self._ids = list(ids[:kept])
        return kept, generation

    def _take(
        self, generation: Generation, ids: Sequence[int], tell: Tell, stopped: Stopped
    ) -> bool:
        """Read what is new; False when told to stop before its end."""
        while len(self._ids) < len(ids):
            if stopped():
                return False
            piece = ids[len(self._ids) : len(self._ids) + PIECE]
            generation.take(piece)
            self._ids += piece
            if len(self._ids) < len(ids):
                tell(Reading(left=len(ids) - len(self._ids)))
        return True

    def _generate(
        self, generation: Generation, answer: "_Answer", most: int, stopped: Stopped
    ) -> Ended:
        ends = self._decoder.config.model.eos_token_id
        last = (ends,) if isinstance(ends, int) else ends
        while not stopped():
            token = generation.next()
            if answer.tokens:
                self._ids.append(answer.tokens[-1])
            if token in last and generation.done:
                return Ended.END
            answer.add(token)
            if generation.done or generation.count >= self._context:
                return Ended.CONTEXT
            if len(answer.tokens) >= most:
                return Ended.LENGTH
        return Ended.STOPPED


class _Answer:
    """The answer so far."""

    def __init__(self, pieces: Pieces, tell: Tell) -> None:
        self._pieces = pieces
        self._tell = tell
        self._first_ns: int | None = None
        self._last_ns = 0
        self.tokens: list[int] = []
        self.ended = Ended.STOPPED

    def add(self, token: int) -> None:
        self.tokens.append(token)
        self._last_ns = time.perf_counter_ns()
        if self._first_ns is None:
            self._first_ns = self._last_ns
        self._say(self._pieces.add(token))

    def finish(self) -> None:
        self._say(self._pieces.rest())

    def _say(self, text: str) -> None:
        if text:
            self._tell(Piece(text=text))

    def summary(self, prompt: Prompt, kept: int, start_ns: int) -> Answered:
        count, first_ns = len(self.tokens), self._first_ns
        spent_s = 0.0 if first_ns is None else (self._last_ns - first_ns) * _NS
        return Answered(
            ended=self.ended,
            prompt_tokens=len(prompt.ids),
            kept_tokens=kept,
            answer_tokens=count,
            first_token_s=None if first_ns is None else (first_ns - start_ns) * _NS,
            tokens_per_s=(count - 1) / spent_s if spent_s > 0 else None,
            dropped_turns=prompt.dropped_turns,
        )


def search_of(sampling: Sampling, config: GenaiConfig) -> Search:
    """What the runtime is told: what was asked for, else what the model's own files say.

    A model that takes the likeliest token by itself draws where a way of drawing is asked for.
    """
    own = config.search
    asked = (sampling.top_k, sampling.top_p, sampling.seed)
    temperature = sampling.temperature
    if temperature is None:
        draws = own.do_sample or any(one is not None for one in asked)
        temperature = float(own.temperature) if draws else 0.0
    top_k = own.top_k if sampling.top_k is None else sampling.top_k
    top_p = own.top_p if sampling.top_p is None else sampling.top_p
    penalty = sampling.repetition_penalty
    search: dict[str, float | int | bool] = {
        "num_beams": 1,
        "num_return_sequences": 1,
        "do_sample": temperature > 0,
        "repetition_penalty": own.repetition_penalty if penalty is None else penalty,
    }
    if temperature > 0:
        search |= {
            "temperature": temperature,
            "top_k": max(0, min(top_k, config.model.vocab_size)),
            "top_p": top_p,
            "random_seed": -1 if sampling.seed is None else sampling.seed,
        }
    return search
