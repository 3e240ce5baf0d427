"""Opening a language model and going on with a text, against the same arithmetic in numpy."""

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.artifact import SessionOptions
from deployopt.core.errors import DeviceError, IntegrityError, RefusedInputError, UsageError
from deployopt.device.generating.decoder import PIECE, Decoder, open_decoder
from deployopt.device.setup import Setup
from tests.fakes.decoders import CONTEXT, END, VOCABULARY, TinyDecoder, config

Draw = Callable[..., list[list[int]]]


@pytest.fixture
def decoder(tiny: Setup) -> Decoder:
    return open_decoder(tiny, stops=False)


def test_greedy_tokens_are_the_likeliest_whatever_the_file_says_of_sampling(
    decoder: Decoder, twin: TinyDecoder, texts: Draw
) -> None:
    (prompt,) = texts(9)
    generation = decoder.begin(CONTEXT)
    generation.take(prompt)
    assert [generation.next() for _ in range(30)] == twin.answer(prompt, 30)
    assert generation.count == 39


def test_an_answer_ends_only_where_it_may(tiny: Setup, twin: TinyDecoder, texts: Draw) -> None:
    (prompt,) = texts(9)
    twin.table[:, END] += 100.0
    setup = msgspec.structs.replace(tiny, model=twin.save(tiny.model.parent))
    stopping = open_decoder(setup, stops=True).begin(CONTEXT)
    stopping.take(prompt)
    assert stopping.next() == END
    assert stopping.done
    going_on = open_decoder(setup, stops=False).begin(CONTEXT)
    going_on.take(prompt)
    assert END not in [going_on.next() for _ in range(5)]
    assert not going_on.done


def test_a_long_prompt_is_taken_in_pieces_and_gives_the_logits_of_the_last(
    decoder: Decoder, twin: TinyDecoder, texts: Draw
) -> None:
    (prompt,) = texts(2 * PIECE + 3)
    generation = decoder.begin(CONTEXT)
    found = list(generation.rows(prompt))
    assert [len(rows) for rows in found] == [PIECE, PIECE, 3]
    np.testing.assert_allclose(np.concatenate(found), twin.logits(prompt), atol=1e-3)
    assert generation.next() == twin.answer(prompt, 1)[0]


@pytest.mark.parametrize("tail", [[END], [END, END], [3, END, 4, END]])
@pytest.mark.parametrize("length", [0, 3, PIECE - 1, PIECE])
def test_a_prompt_may_end_in_what_the_file_names_for_padding(
    decoder: Decoder, twin: TinyDecoder, texts: Draw, length: int, tail: list[int]
) -> None:
    (start,) = texts(length)
    prompt = [*start, *tail]
    generation = decoder.begin(CONTEXT)
    found = np.concatenate(list(generation.rows(prompt)))
    np.testing.assert_allclose(found, twin.logits(prompt), atol=1e-3)
    assert generation.next() == twin.answer(prompt, 1)[0]


def test_without_a_word_of_padding_any_end_may_be_meant(
    tiny: Setup, twin: TinyDecoder, texts: Draw
) -> None:
    told = config()
    del told["model"]["pad_token_id"]
    twin.save(tiny.model.parent, **told)
    for last in (0, END):
        (start,) = texts(5)
        generation = open_decoder(tiny, stops=False).begin(CONTEXT)
        generation.take([*start, last])
        assert generation.next() == twin.answer([*start, last], 1)[0]


def test_repeating_the_last_token_changes_nothing(decoder: Decoder, texts: Draw) -> None:
    (prompt,) = texts(9)
    plain, repeating = decoder.begin(CONTEXT), decoder.begin(CONTEXT)
    plain.take(prompt)
    repeating.take(prompt)
    repeating.repeat()
    assert repeating.count == 9
    found = []
    for _ in range(20):
        found.append(repeating.next())
        repeating.repeat()
        repeating.repeat()
        assert repeating.count == 9 + len(found)
    assert found == [plain.next() for _ in range(20)]


def test_a_text_goes_on_from_where_it_was_rewound_to(
    decoder: Decoder, twin: TinyDecoder, texts: Draw
) -> None:
    prompt, other = texts(9, 4)
    generation = decoder.begin(CONTEXT)
    generation.take(prompt)
    generation.next()
    generation.rewind(5)
    generation.take(other)
    assert generation.next() == twin.answer([*prompt[:5], *other], 1)[0]


@pytest.mark.parametrize("tokens", [[], [VOCABULARY], [-1]])
def test_a_prompt_that_is_none_of_the_model_s_is_refused(
    decoder: Decoder, tokens: list[int]
) -> None:
    with pytest.raises(UsageError, match="token ids from 0 to 39"):
        decoder.begin(CONTEXT).take(tokens)


def test_more_than_the_context_holds_is_an_error_not_a_crash(decoder: Decoder, texts: Draw) -> None:
    (prompt,) = texts(20)
    generation = decoder.begin(16)
    with pytest.raises(DeviceError, match="max length"):
        generation.take(prompt)
    full = decoder.begin(21)
    full.take(prompt)
    full.next()
    with pytest.raises(DeviceError, match="failed"):
        full.next()
    with pytest.raises(DeviceError, match="context_length"):
        decoder.begin(CONTEXT + 1)


def test_threads_are_the_setup_s(tiny: Setup) -> None:
    def running() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    before = running()
    one = open_decoder(tiny, stops=False)
    assert running() == before
    three = open_decoder(msgspec.structs.replace(tiny, threads=3), stops=False)
    assert running() == before + 2
    del one, three


def test_entries_that_name_files_are_refused(tiny: Setup) -> None:
    entries = {"session.model_external_initializers_file_folder_path": "/"}
    options = SessionOptions(config_entries=entries)
    with pytest.raises(RefusedInputError, match="not one that a bundle may set"):
        open_decoder(msgspec.structs.replace(tiny, session=options), stops=False)
    spinning = SessionOptions(config_entries={"session.intra_op.allow_spinning": "0"})
    open_decoder(msgspec.structs.replace(tiny, session=spinning), stops=False)


def test_what_the_runtime_cannot_do_is_said(tiny: Setup) -> None:
    with pytest.raises(DeviceError, match="for the provider cpu, and the target asks for 'cuda'"):
        open_decoder(msgspec.structs.replace(tiny, provider="cuda"), stops=False)
    fewer = SessionOptions(disabled_optimizers=("ConstantFolding",))
    with pytest.raises(DeviceError, match="optimizers"):
        open_decoder(msgspec.structs.replace(tiny, session=fewer), stops=False)
    with pytest.raises(IntegrityError):
        open_decoder(
            msgspec.structs.replace(tiny, model=tiny.model.with_name("model.onnx")), stops=False
        )


def test_a_graph_that_the_runtime_cannot_open_is_said(tiny: Setup) -> None:
    graph = tiny.model.with_name("model.onnx")
    graph.write_bytes(graph.read_bytes().replace(b"CumSum", b"CumSux"))
    with pytest.raises((DeviceError, IntegrityError), match="onnxruntime-genai"):
        open_decoder(tiny, stops=False)


def test_where_the_runtime_is_missing_it_is_said_how_to_get_it(
    tiny: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime_genai", None)
    with pytest.raises(DeviceError, match=r"pip install 'deployopt\[chat\]'"):
        open_decoder(tiny, stops=False)
