"""A round's answers: order, probes, turns, comparison."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from deployopt.core.errors import UsageError
from deployopt.device.generating.answering import (
    AnswerPlan,
    Asker,
    WarmedUp,
    differing,
    draw_prompts,
    prompts_of,
    timed_answers,
    times_of,
    warmed_up,
)
from deployopt.device.generating.decoder import Decoder, open_decoder
from deployopt.device.setup import Answering, Setup
from deployopt.device.turns import Turns
from tests.fakes.decoders import TinyDecoder

Draw = Callable[..., list[list[int]]]
ANSWERING = Answering(tokens=12, context=64)
LENGTHS = (5, 9, 9, 12, 20, 7, 30, 6, 15, 11, 8, 10)


@pytest.fixture
def decoder(tiny: Setup) -> Decoder:
    return open_decoder(tiny, stops=False)


@pytest.fixture
def prompts(texts: Draw) -> list[np.ndarray]:
    return [np.asarray(one) for one in texts(*LENGTHS)]


def _plan(requests: int, min_s: float = 0.0) -> AnswerPlan:
    return AnswerPlan(answering=ANSWERING, requests=requests, min_s=min_s, seed=3)


WARM = WarmedUp(first_s=1e-3, warmup_s=(), steady=True, token_s=1e-4, answer_s=1e-3)


def test_answers_are_the_model_s_and_every_token_has_its_time(
    decoder: Decoder, twin: TinyDecoder, prompts: list[np.ndarray]
) -> None:
    timed = timed_answers(Asker(decoder, ANSWERING), prompts, _plan(15), WARM)
    assert len(timed.answered) == 15
    for index, one in zip(timed.prompts, timed.answered, strict=True):
        assert list(one.tokens) == twin.answer(prompts[index], 12)
        assert min(one.token_s) > 0
    times = times_of(prompts, timed)
    assert times.answer_tokens == (12,) * 15
    assert times.prompt_tokens == tuple(LENGTHS[index] for index in timed.prompts)
    assert len(times.token_s) == 15 * 11
    wanted = [twin.answer(prompt, 12) for prompt in prompts]
    assert differing(timed, wanted) == 0
    wanted[timed.prompts[0]][-1] += 1
    assert differing(timed, wanted) == Counter(timed.prompts)[timed.prompts[0]]


def test_probes_come_twice_and_nobody_has_seen_them_before(
    decoder: Decoder, prompts: list[np.ndarray]
) -> None:
    seen: list[bytes] = []

    class Noting(Asker):
        def answer(self, prompt: np.ndarray, *others: object) -> object:  # type: ignore[override]
            seen.append(prompt.tobytes())
            return super().answer(prompt, *others)  # type: ignore[arg-type]

    order = draw_prompts(len(prompts), 40, seed=3)
    twice = [index for index, count in Counter(order).items() if count == 2]
    asker = Noting(decoder, ANSWERING)
    warm = warmed_up(asker, prompts, seed=3)
    assert len(warm.warmup_s) >= 75
    warmed = set(seen)
    unseen = [index for index in twice if prompts[index].tobytes() not in warmed]
    assert len(unseen) == 5
    timed = timed_answers(asker, prompts, _plan(40), warm)
    assert Counter(timed.prompts) == Counter(order)
    assert timed.repeat_ratio is not None


def test_a_first_token_that_comes_faster_the_second_time_shows(
    decoder: Decoder, prompts: list[np.ndarray]
) -> None:
    known: set[bytes] = set()
    now = [0]

    class Remembering(Asker):
        def answer(self, prompt: np.ndarray, *others: object) -> object:  # type: ignore[override]
            now[0] += 0 if prompt.tobytes() in known else 10**6
            answered = super().answer(prompt, *others)  # type: ignore[arg-type]
            first = 1e-4 if prompt.tobytes() in known else 1e-3
            known.add(prompt.tobytes())
            return type(answered)(tokens=answered.tokens, token_s=(first, *answered.token_s[1:]))

    timed = timed_answers(Remembering(decoder, ANSWERING), prompts, _plan(30), WARM)
    assert timed.repeat_ratio == pytest.approx(0.1)


def test_rounds_last_as_long_as_they_should(decoder: Decoder, prompts: list[np.ndarray]) -> None:
    timed = timed_answers(Asker(decoder, ANSWERING), prompts, _plan(1, min_s=0.1), WARM)
    assert sum(one.seconds for one in timed.answered) >= 0.1


def test_a_turn_ends_between_tokens_and_costs_the_answer_nothing(
    decoder: Decoder, twin: TinyDecoder, prompts: list[np.ndarray]
) -> None:
    now, waits = [0], [0]

    def clock() -> int:
        now[0] += 1000
        return now[0]

    def wait() -> None:
        waits[0] += 1
        now[0] += 10**12

    # Turns of so many clock readings that each ends in the middle of an answer.
    turns = Turns(2e-5, 1e-6, wait, clock)
    asker = Asker(decoder, ANSWERING, turns, clock)
    answered = [asker.answer(prompt) for prompt in prompts]
    assert waits[0] > len(prompts)
    for prompt, one in zip(prompts, answered, strict=True):
        assert list(one.tokens) == twin.answer(prompt, 12)
        assert max(one.token_s) < 1.0


def test_a_turn_does_not_end_within_a_prompt(decoder: Decoder, prompts: list[np.ndarray]) -> None:
    begun: list[int] = []
    waited: list[int] = []
    begin = decoder.begin

    def noting(context: int) -> object:
        generation = begin(context)
        begun.append(0)
        return generation

    decoder.begin = noting  # type: ignore[method-assign,assignment]
    turns = Turns(1e-9, 1.0, lambda: waited.append(len(begun)))
    asker = Asker(decoder, Answering(tokens=3, context=64), turns)
    asker.answer(prompts[0])
    # One before the prompt, one between the second and the third token; none behind the first.
    assert waited == [0, 1]


def test_prompts_that_leave_no_room_are_refused(texts: Draw) -> None:
    (long,) = texts(60)
    feed = {"input_ids": np.asarray([long])}
    with pytest.raises(UsageError, match="60 tokens and an answer of 12"):
        prompts_of([feed], ANSWERING)
    with pytest.raises(UsageError, match="no prompts"):
        prompts_of([], ANSWERING)
    with pytest.raises(UsageError, match="no input_ids"):
        prompts_of([{"ids": np.asarray([[1]])}], ANSWERING)
