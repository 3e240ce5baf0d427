"""The answer of a fresh process to a SettingRequest: one length of prompt, one batch.

In: the request, whom to tell signs of life. Out: a round, as timed answers have it. It is for
figures and not for a verdict: one warm-up answer, then as many as the time allows, two at least. Of
a batch a round's answer is that of all rows together, and its times are those of a step.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import psutil

from deployopt.core.answers import AnswerTimes
from deployopt.core.errors import UsageError
from deployopt.core.measurement import Round
from deployopt.core.samples import Array, decode_samples
from deployopt.device.card_watch import watch_card, with_card
from deployopt.device.conditions import conditions_between, read_conditions, void_reason
from deployopt.device.generating.answering import prompts_of
from deployopt.device.generating.batches import Batch
from deployopt.device.generating.decoder import Decoder, import_genai, open_decoder
from deployopt.device.protocol import Say, SettingRequest, Timed, Working
from deployopt.device.readings import peak_rss_bytes
from deployopt.device.setup import Answering
from deployopt.device.turns import Turns

LEAST: Final = 2
"""Timed answers, however long they take."""
_ALONE: Final = 2
"""Rows of a batch that are asked alone too."""
_S: Final = 1e-9
Answer = tuple[list[tuple[int, ...]], list[float]]
"""Step by step: a token a row, and seconds."""


def answer_setting(request: SettingRequest, say: Say) -> Timed:
    """Load, answer once, answer until the time is over; then compare rows with themselves alone.

    Raises:
        UsageError: the prompts are not equally long, or too long.
        IntegrityError: the model's files are not what they should be.
        DeviceError: the runtime fails.
    """
    if request.cores:
        os.sched_setaffinity(0, request.cores)
    prompts = _equal(request)
    import_genai()
    base = psutil.Process().memory_info().rss
    start = time.perf_counter_ns()
    card = watch_card(request.setup.provider)
    decoder = open_decoder(request.setup, stops=False)
    load_s = (time.perf_counter_ns() - start) * _S
    batches = [_rows(prompts, number, request.batch) for number in range(len(prompts))]

    def answer(rows: Array) -> Answer:
        return _answered(decoder, rows, request)

    say(Working(share=0.1, what="model loaded"))
    first = answer(batches[0])
    say(Working(share=0.2, what="warmed up"))
    turns = Turns(card=card)
    before = read_conditions()
    answered = _timed(answer, batches, request, turns, say)
    spent_j, after = turns.energy_j(), read_conditions()
    seen = conditions_between(before, after, request.setup.threads, turns.outside)
    conditions = with_card(seen, request.setup.provider, card)
    peak = peak_rss_bytes()
    mismatched, compared = _apart(answer, batches[1 % len(batches)], answered[0][0])
    return Timed(
        round=Round(
            load_s=load_s,
            first_s=sum(first[1]),
            warmup_s=tuple(first[1]),
            steady=True,
            samples_s=tuple(sum(times) for _, times in answered),
            peak_rss_bytes=peak,
            base_rss_bytes=base,
            conditions=conditions,
            mismatched=mismatched,
            compared=compared,
            answers=AnswerTimes(
                prompt_tokens=tuple(prompts[0].size for _ in answered),
                answer_tokens=tuple(len(times) for _, times in answered),
                first_token_s=tuple(times[0] for _, times in answered),
                token_s=tuple(second for _, times in answered for second in times[1:]),
            ),
            energy_j=spent_j,
            void=void_reason(conditions, request.setup.threads),
        )
    )


def _equal(request: SettingRequest) -> list[Array]:
    answering = Answering(tokens=request.tokens, context=request.context)
    prompts = prompts_of(decode_samples(request.prompts), answering)
    if len({prompt.size for prompt in prompts}) > 1:
        raise UsageError("Prompts of one setting are equally long.")
    return prompts


def _rows(prompts: Sequence[Array], number: int, batch: int) -> Array:
    """The batch of this number: the prompts in turn, over and over."""
    return np.stack([prompts[(number * batch + row) % len(prompts)] for row in range(batch)])


def _answered(decoder: Decoder, rows: Array, request: SettingRequest) -> Answer:
    tokens: list[tuple[int, ...]] = []
    times: list[float] = []
    start = time.perf_counter_ns()
    batch = Batch(decoder, rows, request.context)
    while len(tokens) < request.tokens:
        tokens.append(batch.next())
        now = time.perf_counter_ns()
        times.append(max(now - start, 1) * _S)
        start = now
    return tokens, times


def _timed(
    answer: Callable[[Array], Answer],
    batches: Sequence[Array],
    request: SettingRequest,
    turns: Turns,
    say: Say,
) -> list[Answer]:
    answered: list[Answer] = []
    spent = 0.0
    while len(answered) < LEAST or (spent < request.seconds and len(answered) < request.requests):
        turns.come(lambda _: None)
        answered.append(answer(batches[(1 + len(answered)) % len(batches)]))
        spent += sum(answered[-1][1])
        say(Working(share=0.9, what=f"{len(answered)} answers"))
    return answered


def _apart(
    answer: Callable[[Array], Answer], rows: Array, together: Sequence[tuple[int, ...]]
) -> tuple[int, int]:
    """Of the tokens that some rows got together, how many are others alone; and how many of all."""
    if len(rows) == 1:
        return 0, 0
    differing = 0
    for number, row in enumerate(rows[:_ALONE]):
        alone, _ = answer(row[None])
        differing += sum(one[0] != both[number] for one, both in zip(alone, together, strict=True))
    return differing, len(rows[:_ALONE]) * len(together)
