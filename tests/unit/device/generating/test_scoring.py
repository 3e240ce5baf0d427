"""What a model says of texts, against the same arithmetic in numpy."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from deployopt.core.errors import UsageError
from deployopt.device.generating.decoder import PIECE, Decoder, open_decoder
from deployopt.device.generating.scoring import (
    choices,
    document_nll,
    fill_context,
    negative_log_likelihood,
)
from deployopt.device.setup import Setup
from tests.fakes.decoders import CONTEXT, VOCABULARY, TinyDecoder

Draw = Callable[..., list[list[int]]]


@pytest.fixture
def decoder(tiny: Setup) -> Decoder:
    return open_decoder(tiny, stops=False)


@pytest.mark.parametrize("length", [2, 3, PIECE, PIECE + 1, PIECE + 2, 3 * PIECE])
def test_the_nll_is_that_of_every_token_but_the_first(
    decoder: Decoder, twin: TinyDecoder, texts: Draw, length: int
) -> None:
    (text,) = texts(length)
    assert document_nll(decoder, np.asarray(text)) == pytest.approx(twin.nll(text), rel=1e-5)


@pytest.mark.parametrize("prompt_length", [1, 9, PIECE - 2, PIECE, PIECE + 1])
def test_choices_are_greedy_at_each_position_given_the_answer_before(
    decoder: Decoder, twin: TinyDecoder, texts: Draw, prompt_length: int
) -> None:
    prompt, answer = texts(prompt_length, 20)
    rows = twin.logits([*prompt, *answer[:-1]])[prompt_length - 1 :]
    found = choices(decoder, np.asarray(prompt), answer)
    assert found == tuple(int(token) for token in rows.argmax(axis=1))
    own = twin.answer(prompt, 20, without=None)
    assert choices(decoder, np.asarray(prompt), own) == tuple(own)
    assert choices(decoder, np.asarray(prompt), ()) == ()


def test_texts_that_cannot_be_scored_are_refused(decoder: Decoder, texts: Draw) -> None:
    with pytest.raises(UsageError, match="two tokens"):
        document_nll(decoder, np.asarray([3]))
    (long,) = texts(CONTEXT + 1)
    with pytest.raises(UsageError, match="longer than the model takes, which is 512"):
        document_nll(decoder, np.asarray(long))


def test_a_logit_that_is_no_number_spoils_its_document(tiny: Setup) -> None:
    poisoned = TinyDecoder(poison=5).save(tiny.model.parent)
    decoder = open_decoder(msgspec.structs.replace(tiny, model=poisoned), stops=False)
    assert not np.isfinite(document_nll(decoder, np.asarray([1, 5, 2])))
    assert np.isfinite(document_nll(decoder, np.asarray([1, 2, 5])))


def test_large_logits_do_not_overflow() -> None:
    rows = np.asarray([[1e4, 0.0], [0.0, -1e4]], dtype=np.float32)
    assert negative_log_likelihood(rows, np.asarray([0, 1])) == pytest.approx(1e4)


def test_a_context_is_filled_to_its_end(tiny: Setup) -> None:
    decoder = open_decoder(tiny, stops=False)
    begun = []
    begin = decoder.begin

    def noting(context: int) -> object:
        begun.append(begin(context))
        return begun[-1]

    decoder.begin = noting  # type: ignore[method-assign,assignment]
    shares = list(fill_context(decoder, CONTEXT, np.arange(VOCABULARY)))
    assert begun[0].count == CONTEXT
    assert shares == sorted(shares)
    assert shares[-1] <= 1.0
