"""Choices of questions, against the same arithmetic in numpy."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from deployopt.core.choices import ChoiceQuestion, choice_of
from deployopt.core.errors import DeviceError, UsageError
from deployopt.device.generating.choosing import Chooser
from deployopt.device.generating.decoder import PIECE, Decoder, Generation, open_decoder
from deployopt.device.setup import Setup
from tests.fakes.decoders import CONTEXT, VOCABULARY, TinyDecoder

Draw = Callable[..., list[list[int]]]


@pytest.fixture
def decoder(tiny: Setup) -> Decoder:
    return open_decoder(tiny, stops=False)


def question(texts: Draw, prompt: int, *lengths: int, seed: int = 0) -> ChoiceQuestion:
    first, *choices = texts(prompt, *lengths, seed=seed)
    return ChoiceQuestion(
        prompt=tuple(first),
        choices=tuple(tuple(one) for one in choices),
        sizes=tuple(len(one) for one in choices),
        answer=0,
    )


def by_hand(twin: TinyDecoder, asked: ChoiceQuestion) -> list[float]:
    whole = twin.nll([*asked.prompt])
    return [whole - twin.nll([*asked.prompt, *choice]) for choice in asked.choices]


@pytest.mark.parametrize(
    ("prompt", "lengths"),
    [
        (1, (1, 1)),
        (9, (3, 1, 5)),
        (PIECE - 1, (2, 2)),
        (PIECE + 3, (PIECE, PIECE + 1, 2)),
        (3, (2 * PIECE + 1, 1)),
    ],
)
def test_a_choice_is_scored_as_what_follows_the_question(
    decoder: Decoder, twin: TinyDecoder, texts: Draw, prompt: int, lengths: tuple[int, ...]
) -> None:
    asked = question(texts, prompt, *lengths)
    found = Chooser(decoder, [asked]).likelihoods(asked)
    assert found == pytest.approx(by_hand(twin, asked), rel=1e-4)


def test_choices_share_the_questions_context_with_the_same_numbers(
    decoder: Decoder, texts: Draw
) -> None:
    asked = [question(texts, 20 + k, 4, 1, 7, 2, seed=k) for k in range(6)]
    chooser = Chooser(decoder, asked)
    assert chooser.shares
    together = [chooser.likelihoods(one) for one in asked]
    chooser.shares = False
    assert [chooser.likelihoods(one) for one in asked] == together


def test_a_context_that_is_not_taken_back_exactly_is_not_shared(
    decoder: Decoder, twin: TinyDecoder, texts: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = question(texts, 20, 4, 3)
    monkeypatch.setattr(Generation, "rewind", lambda *_: None)
    chooser = Chooser(decoder, [asked])
    assert not chooser.shares
    assert chooser.likelihoods(asked) == pytest.approx(by_hand(twin, asked), rel=1e-4)

    def refuses(*_: object) -> None:
        raise DeviceError("This cache cannot be taken back.")

    monkeypatch.setattr(Generation, "rewind", refuses)
    assert not Chooser(decoder, [asked]).shares


def test_every_choice_is_a_sign_of_life(decoder: Decoder, texts: Draw) -> None:
    heard: list[int] = []
    asked = question(texts, 20, 4, 3, 1)
    chooser = Chooser(decoder, [asked], lambda: heard.append(1))
    assert len(heard) == 6
    chooser.likelihoods(asked)
    assert len(heard) == 9


def test_questions_that_cannot_tell_are_not_shared(decoder: Decoder, texts: Draw) -> None:
    assert not Chooser(decoder, []).shares
    assert not Chooser(decoder, [question(texts, 5, 1, 1, 9)]).shares


def test_a_question_that_is_too_long_or_of_another_model_is_refused(
    decoder: Decoder, texts: Draw
) -> None:
    long = question(texts, CONTEXT - 1, 1, 2)
    with pytest.raises(UsageError, match=f"{CONTEXT + 1} tokens.*longer than the model takes"):
        Chooser(decoder, []).likelihoods(long)
    fits = question(texts, CONTEXT - 2, 1, 2)
    assert len(Chooser(decoder, [fits]).likelihoods(fits)) == 2
    odd = msgspec.structs.replace(fits, prompt=(1,), choices=((1,), (VOCABULARY,)))
    with pytest.raises(UsageError, match="another model's tokenizer"):
        Chooser(decoder, []).likelihoods(odd)


def test_a_logit_that_is_no_number_leaves_no_choice(tiny: Setup) -> None:
    poisoned = TinyDecoder(poison=5).save(tiny.model.parent)
    decoder = open_decoder(msgspec.structs.replace(tiny, model=poisoned), stops=False)
    asked = ChoiceQuestion(prompt=(1, 2), choices=((5, 3), (4, 3)), sizes=(1, 1), answer=1)
    found = Chooser(decoder, [asked]).likelihoods(asked)
    assert not np.isfinite(found[0])
    assert np.isfinite(found[1])
    assert choice_of(found, asked) is None
