"""One round of a language model in the process that holds it: warm-up, then timed answers.

In: a decoder, prompts, how many answers and seconds. Out: each answer with the time of every token.
A first token's time counts from the prompt's arrival, a new context included; what passes while
others have their turn counts nowhere. A backend that answers without computing is caught as in
timing.py: every answer is compared with the accuracy run's, and some prompts, which nobody has seen
before, come twice.
"""

import gc
import random
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final

import msgspec
import numpy as np

from deployopt.core.answers import AnswerTimes
from deployopt.core.errors import UsageError
from deployopt.core.samples import Array, Feed
from deployopt.core.steady import WINDOW, WarmUpWatch
from deployopt.device.generating.decoder import Decoder, Generation
from deployopt.device.setup import Answering
from deployopt.device.timing import PROBES_LEAST, REQUESTS_MAX, Clock, pick_probes
from deployopt.device.turns import Turns

PROMPT: Final = "input_ids"
_NS_PER_S: Final = 1_000_000_000


class AnswerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """At least `requests` timed answers and `min_s` seconds of them; the seed draws every order."""

    answering: Answering
    requests: int
    min_s: float
    seed: int


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, and how long each of its tokens took; seconds."""

    tokens: tuple[int, ...]
    token_s: tuple[float, ...]
    """The first from the prompt's arrival on."""

    @property
    def seconds(self) -> float:
        """All of it."""
        return sum(self.token_s)


class WarmedUp(msgspec.Struct, frozen=True, kw_only=True):
    """The first answer, then tokens until they took equally long; seconds."""

    first_s: float
    warmup_s: tuple[float, ...]
    steady: bool
    token_s: float
    answer_s: float
    """What a token and an answer take by then."""


class TimedAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """Which prompt was answered how, in their order."""

    prompts: tuple[int, ...]
    answered: tuple[Answered, ...]
    repeat_ratio: float | None
    """Median over prompts that came twice: the second first token's time over the first's."""


class Asker:
    """Gives prompts to a decoder; an answer may be interrupted by others' turns."""

    def __init__(
        self,
        decoder: Decoder,
        answering: Answering,
        turns: Turns | None = None,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        self._decoder = decoder
        self._answering = answering
        self._turns = turns
        self._clock = clock
        self._generation: Generation | None = None

    def take_turns(self, turns: Turns) -> None:
        """From here on."""
        self._turns = turns

    def answer(self, prompt: Array, after: Callable[[float], bool] = lambda _: False) -> Answered:
        """Greedy tokens to the prompt; `after` hears each later token's time, and may end it."""
        self._come()
        # Two contexts at once would count twice in memory.
        self._generation = None
        wanted, clock = self._answering.tokens, self._clock
        start = clock()
        generation = self._generation = self._decoder.begin(self._answering.context)
        generation.take(prompt)
        tokens = [generation.next()]
        durations = [max(clock() - start, 1)]
        while len(tokens) < wanted:
            if len(tokens) > 1:
                self._come()
            start = clock()
            tokens.append(generation.next())
            durations.append(max(clock() - start, 1))
            if after(durations[-1] / _NS_PER_S):
                break
        return Answered(
            tokens=tuple(tokens), token_s=tuple(duration / _NS_PER_S for duration in durations)
        )

    def _come(self) -> None:
        """Wait for a turn where this one is over."""
        if self._turns is not None:
            self._turns.come(self._repeat)

    def _repeat(self, _number: int) -> None:
        if self._generation is not None:
            self._generation.repeat()


def prompts_of(feeds: Sequence[Feed], answering: Answering) -> list[Array]:
    """Token ids, one array a prompt.

    Raises:
        UsageError: there is none, or one leaves no room for its answer.
    """
    if not feeds:
        raise UsageError("There are no prompts to answer.")
    prompts = [np.asarray(feed[PROMPT]).reshape(-1) for feed in feeds if PROMPT in feed]
    if len(prompts) != len(feeds):
        raise UsageError(f"A prompt has no {PROMPT}.")
    longest = max(prompt.size for prompt in prompts)
    if longest + answering.tokens > answering.context:
        raise UsageError(
            f"A prompt of {longest} tokens and an answer of {answering.tokens} do not fit into a "
            f"context of {answering.context}. Give shorter prompts, or a longer context."
        )
    return prompts


def warmed_up(
    asker: Asker,
    prompts: Sequence[Array],
    seed: int,
    after_window: Callable[[int], None] = lambda _: None,
) -> WarmedUp:
    """Answer once, then until tokens are steady, with prompts that are not probes."""
    probes = set(_probes(len(prompts), seed))
    common = [prompt for index, prompt in enumerate(prompts) if index not in probes]
    random.Random(f"warm-up {seed}").shuffle(common)  # noqa: S311 -- an order, not a secret
    first = asker.answer(common[0])
    watch = WarmUpWatch()
    durations: list[float] = []

    def after(token_s: float) -> bool:
        durations.append(token_s)
        if len(durations) % WINDOW == 0:
            after_window(len(durations))
        return watch.add(token_s)

    turn = 1
    while not watch.done:
        asker.answer(common[turn % len(common)], after)
        turn += 1
    token_s = float(np.mean(durations[-WINDOW:]))
    return WarmedUp(
        first_s=first.seconds,
        warmup_s=tuple(durations),
        steady=watch.stable,
        token_s=token_s,
        answer_s=first.token_s[0] + token_s * (len(first.tokens) - 1),
    )


def timed_answers(
    asker: Asker,
    prompts: Sequence[Array],
    plan: AnswerPlan,
    warm: WarmedUp,
    after_answer: Callable[[int], None] = lambda _: None,
) -> TimedAnswers:
    """The timed part: probes are among the first so many answers, and come twice."""
    wanted = max(plan.requests, int(plan.min_s / warm.answer_s) + 1)
    order = draw_prompts(len(prompts), wanted, plan.seed)
    asked: list[int] = []
    answered: list[Answered] = []
    spent_s = 0.0
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        while order and len(asked) < REQUESTS_MAX:
            index = order.pop(0)
            answered.append(asker.answer(prompts[index]))
            asked.append(index)
            spent_s += answered[-1].seconds
            after_answer(len(asked))
            if not order and spent_s < plan.min_s:
                order = _laps(len(prompts), _more(plan, spent_s, len(asked)), plan.seed, ())
    finally:
        if collecting:
            gc.enable()
    return TimedAnswers(
        prompts=tuple(asked),
        answered=tuple(answered),
        repeat_ratio=_repeat_ratio(asked, answered, _probes(len(prompts), plan.seed)),
    )


def draw_prompts(count: int, requests: int, seed: int) -> list[int]:
    """Which prompts come in which order: at least `requests`, and the probes twice."""
    probes = _probes(count, seed)
    order = [*_laps(count, max(0, requests - 2 * len(probes)), seed, probes), *probes, *probes]
    random.Random(f"order {seed}").shuffle(order)  # noqa: S311 -- an order, not a secret
    return order


def times_of(prompts: Sequence[Array], timed: TimedAnswers) -> AnswerTimes:
    """As a round keeps them."""
    return AnswerTimes(
        prompt_tokens=tuple(prompts[index].size for index in timed.prompts),
        answer_tokens=tuple(len(one.tokens) for one in timed.answered),
        first_token_s=tuple(one.token_s[0] for one in timed.answered),
        token_s=tuple(second for one in timed.answered for second in one.token_s[1:]),
    )


def differing(timed: TimedAnswers, expected: Sequence[Sequence[int]]) -> int:
    """How many answers are not the ones expected."""
    return sum(
        one.tokens != tuple(expected[index])
        for index, one in zip(timed.prompts, timed.answered, strict=True)
    )


def _probes(count: int, seed: int) -> tuple[int, ...]:
    """Fewer than where an answer is one run of the model: each of these comes twice a round."""
    return pick_probes(count, seed)[:PROBES_LEAST]


def _laps(count: int, requests: int, seed: int, without: Sequence[int]) -> list[int]:
    common = [index for index in range(count) if index not in set(without)]
    lot = random.Random(f"laps {seed} {requests}")  # noqa: S311 -- an order, not a secret
    order: list[int] = []
    while len(order) < requests:
        lot.shuffle(common)
        order += common
    return order[:requests]


def _more(plan: AnswerPlan, spent_s: float, count: int) -> int:
    return int((plan.min_s - spent_s) * count / spent_s) + 1


def _repeat_ratio(
    asked: Sequence[int], answered: Sequence[Answered], probes: Sequence[int]
) -> float | None:
    seen: dict[int, list[float]] = {index: [] for index in probes}
    for index, one in zip(asked, answered, strict=True):
        if index in seen:
            seen[index].append(one.token_s[0])
    ratios = [times[1] / times[0] for times in seen.values() if len(times) > 1]
    return median(ratios) if ratios else None
