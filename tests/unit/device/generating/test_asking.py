"""Scores and rounds of a tiny language model in real fresh processes."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.choices import encode_questions
from deployopt.core.errors import DeviceError, IntegrityError, UsageError
from deployopt.core.evidence import Evidence
from deployopt.core.interface import PromptInputs
from deployopt.core.samples import Feed
from deployopt.core.scores import Scored
from deployopt.core.workload import Workload
from deployopt.device.device import ThisMachine
from deployopt.device.generating.asking import (
    CONTEXT as USUAL,
)
from deployopt.device.generating.asking import (
    QUESTION_S,
    Questions,
    answering_of,
    expected_bytes,
    prompt_pool,
    score,
)
from deployopt.device.latency import Place, Schedule, in_turns, measure
from deployopt.device.protocol import Evaluated, Request, Timed, Working
from deployopt.device.setup import Answering, Arm, Limits, PromptPool, Setup, TimingInputs
from tests.fakes.decoders import CONTEXT, VOCABULARY, TinyDecoder, config
from tests.fakes.judged_decoders import choice_likelihoods, draw_questions

Draw = Callable[..., list[list[int]]]
Store = Callable[[str, list[list[int]]], Path]
ANSWERING = Answering(tokens=6, context=96)
PROMPTS = (5, 9, 9, 12, 20, 7, 30, 6, 15, 11, 8, 10)
LIMITS = Limits(memory_bytes=2 * 2**30)


@pytest.fixture
def questions(texts: Draw, stored: Store) -> Questions:
    return Questions(
        documents=stored("documents", texts(40, 150, 2, seed=1)),
        asked=stored("asked", texts(10, 20, seed=2)),
        timed=stored("timed", texts(*PROMPTS, seed=3)),
    )


@pytest.fixture
def reference(texts: Draw) -> Scored:
    return Scored(nll=(), counts=(), chosen=tuple(tuple(one) for one in texts(16, 8, seed=4)))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(device=ThisMachine(), evidence=Evidence.PROXY, workdir=tmp_path)


def _score(
    setup: Setup, questions: Questions, reference: Scored, tmp_path: Path, *, fill: bool = True
) -> Scored:
    device = ThisMachine()
    found, taken = score(
        setup, questions, reference, ANSWERING, tmp_path, device, fill=fill, limits=LIMITS
    )
    assert taken.examples == 3
    assert taken.requests == 3 + 2 + len(PROMPTS)
    return found


def test_a_fresh_process_scores_chooses_and_answers(
    tiny: Setup,
    twin: TinyDecoder,
    questions: Questions,
    reference: Scored,
    texts: Draw,
    tmp_path: Path,
) -> None:
    found = _score(tiny, questions, reference, tmp_path)
    documents = texts(40, 150, 2, seed=1)
    assert found.nll == pytest.approx([twin.nll(one) for one in documents], rel=1e-5)
    assert found.counts == (39, 149, 1)
    for prompt, answer, chosen in zip(
        texts(10, 20, seed=2), reference.chosen, found.chosen, strict=True
    ):
        rows = twin.logits([*prompt, *answer[:-1]])[len(prompt) - 1 :]
        assert chosen == tuple(int(token) for token in rows.argmax(axis=1))
    prompts = texts(*PROMPTS, seed=3)
    assert found.answers == tuple(tuple(twin.answer(one, 6)) for one in prompts)
    assert found.full_context_rss_bytes is not None
    assert found.full_context_rss_bytes > 2**20
    without = _score(tiny, questions, reference, tmp_path, fill=False)
    assert without == msgspec.structs.replace(found, full_context_rss_bytes=None)


def test_a_document_that_is_not_finite_is_counted(
    tiny: Setup, questions: Questions, reference: Scored, tmp_path: Path
) -> None:
    TinyDecoder(poison=3).save(tiny.model.parent)
    found, taken = score(
        tiny, questions, reference, ANSWERING, tmp_path, ThisMachine(), limits=LIMITS
    )
    assert taken.non_finite == int((~np.isfinite(found.nll)).sum()) >= 1


def test_a_stranger_s_settings_are_refused_in_the_process_too(
    tiny: Setup, questions: Questions, reference: Scored, tmp_path: Path
) -> None:
    found = config()
    found["model"]["decoder"]["session_options"]["custom_ops_library"] = "evil.so"
    tiny.model.write_text(json.dumps(found))
    with pytest.raises(IntegrityError, match="custom_ops_library"):
        _score(tiny, questions, reference, tmp_path)


def test_texts_of_another_tokenizer_are_refused(
    tiny: Setup, questions: Questions, reference: Scored, stored: Store, tmp_path: Path
) -> None:
    strange = msgspec.structs.replace(questions, documents=stored("d", [[1, VOCABULARY]]))
    with pytest.raises(UsageError, match="another model's tokenizer"):
        _score(tiny, strange, reference, tmp_path)
    roomy = Answering(tokens=6, context=CONTEXT + 1)
    with pytest.raises(UsageError, match="the model takes 512"):
        score(tiny, questions, reference, roomy, tmp_path, ThisMachine(), limits=LIMITS)


def _pool(twin: TinyDecoder, texts: Draw) -> PromptPool:
    prompts = texts(*PROMPTS, seed=3)
    feeds: tuple[Feed, ...] = tuple({"input_ids": np.asarray([one])} for one in prompts)
    return PromptPool(prompts=feeds, expected=tuple(tuple(twin.answer(one, 6)) for one in prompts))


def test_rounds_of_arms_that_take_turns(
    tiny: Setup, twin: TinyDecoder, texts: Draw, place: Place
) -> None:
    pool = _pool(twin, texts)
    schedule = Schedule(
        looks=(2,), requests=14, min_round_s=0.1, answering=ANSWERING, limits=LIMITS
    )
    arms = [Arm(setup=tiny, inputs=pool), Arm(setup=tiny, inputs=pool)]
    assert in_turns(arms, schedule)
    for trial in measure(arms, schedule, place):
        assert trial.failure is None
        assert len(trial.rounds) >= 2
        for one in trial.rounds:
            assert one.answers is not None
            assert one.mismatched == 0
            assert one.compared == len(one.samples_s) >= 14
            assert set(one.answers.answer_tokens) == {6}
            assert one.samples_s[0] == pytest.approx(
                one.answers.first_token_s[0] + sum(one.answers.of_answers()[0])
            )
            assert one.repeat_ratio is not None
            assert one.steady or len(one.warmup_s) == 250


def test_answers_that_are_not_the_score_s_are_found(
    tiny: Setup, twin: TinyDecoder, texts: Draw, place: Place
) -> None:
    pool = _pool(twin, texts)
    assert pool.expected is not None
    wrong = tuple((*one[:-1], (one[-1] + 1) % VOCABULARY) for one in pool.expected)
    schedule = Schedule(
        looks=(1,), requests=14, min_round_s=0.0, answering=ANSWERING, limits=LIMITS
    )
    arms = [
        Arm(setup=tiny, inputs=pool),
        Arm(setup=tiny, inputs=msgspec.structs.replace(pool, expected=wrong)),
    ]
    good, bad = measure(arms, schedule, place)
    assert good.failure is None
    assert bad.failure is not None
    assert "are not those of the accuracy run" in bad.failure


def test_an_arm_that_cannot_be_opened_fails_alone(
    tiny: Setup, twin: TinyDecoder, texts: Draw, place: Place
) -> None:
    pool = _pool(twin, texts)
    schedule = Schedule(looks=(1,), requests=4, min_round_s=0.0, answering=ANSWERING, limits=LIMITS)
    gpu = msgspec.structs.replace(tiny, provider="cuda")
    good, bad = measure(
        [Arm(setup=tiny, inputs=pool), Arm(setup=gpu, inputs=pool)], schedule, place
    )
    assert good.failure is None
    assert bad.failure is not None
    assert "is for the provider cpu" in bad.failure


def test_prompts_need_a_schedule_of_answers_and_the_reverse(
    tiny: Setup, twin: TinyDecoder, texts: Draw, place: Place
) -> None:
    pool = _pool(twin, texts)
    arm = Arm(setup=tiny, inputs=pool)
    with pytest.raises(UsageError, match="beside each other"):
        measure([arm], Schedule(), place)
    others = Arm(setup=tiny, inputs=TimingInputs(feeds=pool.prompts))
    with pytest.raises(UsageError, match="beside each other"):
        measure([others], Schedule(answering=ANSWERING), place)
    with pytest.raises(UsageError, match="one request after another"):
        measure([arm], Schedule(answering=ANSWERING, arrivals_per_s=3.0), place)
    short = msgspec.structs.replace(pool, expected=((1,),))
    with pytest.raises(IntegrityError, match="do not fit"):
        measure([Arm(setup=tiny, inputs=short)], Schedule(answering=ANSWERING), place)


def test_weights_and_a_context_s_keys_and_values_decide_about_turns(
    tiny: Setup, twin: TinyDecoder, texts: Draw
) -> None:
    arm = Arm(setup=tiny, inputs=_pool(twin, texts))
    small = expected_bytes(tiny, ANSWERING)
    large = expected_bytes(tiny, Answering(tokens=6, context=96 + 2**20))
    assert large - small == 2**20 * 2 * 4 * 4
    tiny.model.with_name("model.onnx.data").write_bytes(bytes(1000))
    assert expected_bytes(tiny, ANSWERING) == small + 1500
    tight = Schedule(answering=ANSWERING, limits=Limits(memory_bytes=small))
    assert not in_turns([arm, arm], tight)


def test_answers_expected_are_the_score_s(questions: Questions) -> None:
    answers = tuple((1,) for _ in PROMPTS)
    scored = Scored(nll=(), counts=(), chosen=(), answers=answers)
    assert prompt_pool(questions, scored).expected == answers
    with pytest.raises(IntegrityError):
        prompt_pool(questions, msgspec.structs.replace(scored, answers=answers[1:]))


def test_what_a_workload_asks_of_a_language_model() -> None:
    inputs = PromptInputs(context=8192, chat=True)
    assert answering_of(Workload(), inputs) == Answering(tokens=32, context=USUAL)
    assert answering_of(Workload(), PromptInputs(context=512, chat=False)).context == 512
    assert answering_of(Workload(context=4096, answer=7), inputs).context == 4096
    for workload, said in (
        (Workload(context=9000), "the model takes 8192"),
        (Workload(context=16, answer=16), "no room"),
        (Workload(scenario="offline", batch=4), "batch 1"),
        (Workload(scenario="server", requests_per_s=2.0), "single-stream"),
    ):
        with pytest.raises(UsageError, match=said):
            answering_of(workload, inputs)


def test_another_answer_than_was_asked_for_is_an_error(
    tiny: Setup, questions: Questions, reference: Scored, tmp_path: Path
) -> None:
    class Odd(ThisMachine):
        def ask(self, *_: object) -> None:  # type: ignore[override]
            return None

    with pytest.raises(DeviceError, match="another question"):
        score(tiny, questions, reference, ANSWERING, tmp_path, Odd())  # type: ignore[arg-type]


def test_questions_are_asked_too_and_given_their_time(
    tiny: Setup, twin: TinyDecoder, questions: Questions, reference: Scored, tmp_path: Path
) -> None:
    drawn = draw_questions(twin, 9)
    path = tmp_path / "q.npz"
    path.write_bytes(encode_questions(drawn))
    asking = msgspec.structs.replace(questions, choices=path)
    given: list[Limits] = []

    class Noting(ThisMachine):
        def ask(
            self,
            request: Request,
            limits: Limits,
            signs: Callable[[Working], None] = lambda _: None,
        ) -> Timed | Evaluated:
            given.append(limits)
            return super().ask(request, limits, signs)

    found, _ = score(tiny, asking, reference, ANSWERING, tmp_path, Noting(), limits=LIMITS)
    for one, likelihoods in zip(drawn, found.choices, strict=True):
        assert likelihoods == pytest.approx(choice_likelihoods(twin, one), rel=1e-4)
    assert given[0].wall_s == LIMITS.wall_s + 9 * QUESTION_S
