"""The answer of a fresh process to an AnswerRequest: one round of a language model.

In: the request, whom to tell signs of life, how to wait for a turn. Out: the round.
"""

import os
import time
from collections.abc import Callable
from typing import Final

import psutil

from deployopt.core.measurement import Round
from deployopt.core.samples import decode_samples
from deployopt.device.card_watch import watch_card, with_card
from deployopt.device.conditions import conditions_between, read_conditions, void_reason
from deployopt.device.generating.answering import (
    AnswerPlan,
    Asker,
    differing,
    prompts_of,
    timed_answers,
    times_of,
    warmed_up,
)
from deployopt.device.generating.decoder import import_genai, open_decoder
from deployopt.device.generating.token_files import decode_answers
from deployopt.device.protocol import AnswerRequest, Say, Timed, Wait, Working
from deployopt.device.readings import peak_rss_bytes
from deployopt.device.setup import Answering
from deployopt.device.turns import Turns

_S: Final = 1e-9


def answer_round(request: AnswerRequest, say: Say, wait: Wait) -> Timed:
    """Load, warm up, answer, compare.

    Raises:
        UsageError: a prompt is none of the model's, or is too long.
        IntegrityError: the model's files, or the answers expected, are not what they should be.
        DeviceError: the runtime fails.
    """
    if request.cores:
        os.sched_setaffinity(0, request.cores)
    answering = Answering(tokens=request.tokens, context=request.context)
    prompts = prompts_of(decode_samples(request.prompts), answering)
    expected = None if request.expected is None else decode_answers(request.expected, len(prompts))
    import_genai()
    base = psutil.Process().memory_info().rss
    start = time.perf_counter_ns()
    card = watch_card(request.setup.provider)
    decoder = open_decoder(request.setup, stops=False)
    load_s = (time.perf_counter_ns() - start) * _S
    say(Working(share=0.1, what="model loaded"))
    asker = Asker(decoder, answering)
    warm = warmed_up(
        asker, prompts, request.seed, lambda _: say(Working(share=0.2, what="warming up"))
    )
    turns = Turns(request.turn_s, warm.token_s, wait, card=card)
    asker.take_turns(turns)
    plan = AnswerPlan(
        answering=answering, requests=request.requests, min_s=request.min_s, seed=request.seed
    )
    before = read_conditions()
    timed = timed_answers(asker, prompts, plan, warm, _signs(request, say))
    spent_j, after = turns.energy_j(), read_conditions()
    threads = request.setup.threads
    seen = conditions_between(before, after, threads, turns.outside)
    conditions = with_card(seen, request.setup.provider, card)
    return Timed(
        round=Round(
            load_s=load_s,
            first_s=warm.first_s,
            warmup_s=warm.warmup_s,
            steady=warm.steady,
            samples_s=tuple(one.seconds for one in timed.answered),
            peak_rss_bytes=peak_rss_bytes(),
            base_rss_bytes=base,
            conditions=conditions,
            mismatched=0 if expected is None else differing(timed, expected),
            compared=0 if expected is None else len(timed.answered),
            repeat_ratio=timed.repeat_ratio,
            answers=times_of(prompts, timed),
            energy_j=spent_j,
            void=void_reason(conditions, threads),
        )
    )


def _signs(request: AnswerRequest, say: Say) -> Callable[[int], None]:
    """A sign of life after an answer: a large model on a small board takes long for all of them."""

    def sign(answered: int) -> None:
        share = min(1.0, answered / max(1, request.requests))
        say(Working(share=0.3 + 0.7 * share, what=f"{answered} answers"))

    return sign
