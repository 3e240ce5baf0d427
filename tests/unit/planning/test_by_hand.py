"""Sizes given by hand: completed by what is usual, refused where they contradict."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.errors import UsageError
from deployopt.core.request import ByHand
from deployopt.planning.by_hand import hand_architecture, typical_architecture

SEVEN = 7_000_000_000


def test_everything_given_is_taken_as_it_is() -> None:
    found = hand_architecture(
        ByHand(
            parameters=SEVEN,
            layers=32,
            hidden=4096,
            heads=32,
            kv_heads=8,
            ffn=11008,
            vocabulary=32000,
        )
    )
    stack = found.stacks[0]
    assert (stack.layers, stack.hidden, stack.heads, stack.kv_heads) == (32, 4096, 32, 8)
    assert (stack.ffn, stack.head_dim, found.vocabulary) == (11008, 128, 32000)
    assert found.parameters == SEVEN
    assert "worked out" not in found.basis
    assert "8 key-value heads for 32" in found.basis


@pytest.mark.parametrize(
    "given_sizes",
    [{}, {"layers": 32}, {"hidden": 4096}, {"layers": 40}, {"ffn": 11008}, {"heads": 32}],
)
def test_what_is_missing_explains_the_parameters(given_sizes: dict[str, int]) -> None:
    found = hand_architecture(msgspec.convert({"parameters": SEVEN, **given_sizes}, ByHand))
    stack = found.stacks[0]
    attention = 2 * stack.hidden * (stack.hidden + stack.kv_heads * stack.head_dim)
    counted = 2 * found.vocabulary * stack.hidden
    counted += stack.layers * (attention + 3 * stack.hidden * stack.ffn)
    assert counted == pytest.approx(SEVEN, rel=0.03)
    assert found.parameters == SEVEN
    for name, value in given_sizes.items():
        assert getattr(stack, name) == value
    assert "worked out as is usual" in found.basis


def test_sizes_that_exceed_the_parameters_say_by_how_much() -> None:
    with pytest.raises(UsageError, match=r"12\.5 times the 7 billion parameters given"):
        hand_architecture(ByHand(parameters=SEVEN, layers=100, hidden=8192))


def test_sizes_that_explain_too_little_are_said() -> None:
    found = hand_architecture(
        ByHand(parameters=47_000_000_000, layers=32, hidden=4096, ffn=14336, vocabulary=32000)
    )
    assert "these sizes explain 1" in found.basis


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"hidden": 4096, "heads": 33}, "--hidden 4096 is no multiple of --heads 33"),
        ({"heads": 32, "kv_heads": 5}, "--heads 32 is no multiple of --kv-heads 5"),
        ({"layers": -1}, "--layers is -1"),
        ({"layers": 0}, "--layers is 0"),
        ({"layers": True}, "--layers is true"),
        ({"hidden": 10**30}, "--hidden is a number of more than 20 digits"),
        ({"vocabulary": -5}, "--vocabulary is -5"),
        ({"parameters": 0}, "--params is 0"),
        ({"parameters": 10**20}, "--params is"),
    ],
)
def test_absurd_sizes_are_refused(sizes: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        hand_architecture(msgspec.structs.replace(ByHand(parameters=SEVEN), **sizes))


def test_a_published_size_is_named() -> None:
    found = typical_architecture(7_241_732_096)
    assert "in the shape of Mistral 7B" in found.basis
    assert found.stacks[0].ffn == 14336
    encoder = typical_architecture(110_000_000, encoder=True)
    assert "BERT base" in encoder.basis
    assert not encoder.generates


@given(
    parameters=st.integers(100_000, 10**13),
    encoder=st.booleans(),
    layers=st.none() | st.integers(1, 4096),
    hidden=st.none() | st.integers(1, 1 << 24),
    heads=st.none() | st.integers(1, 1 << 16),
    kv_heads=st.none() | st.integers(1, 1 << 16),
    ffn=st.none() | st.integers(1, 1 << 24),
    vocabulary=st.none() | st.integers(0, 1 << 26),
)
def test_any_sizes_give_a_shape_or_a_reason(
    parameters: int,
    encoder: bool,  # noqa: FBT001
    layers: int | None,
    hidden: int | None,
    heads: int | None,
    kv_heads: int | None,
    ffn: int | None,
    vocabulary: int | None,
) -> None:
    sizes = ByHand(
        parameters=parameters,
        encoder=encoder,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        ffn=ffn,
        vocabulary=vocabulary,
    )
    try:
        found = hand_architecture(sizes)
    except UsageError:
        return
    stack = found.stacks[0]
    assert min(stack.layers, stack.hidden, stack.heads, stack.kv_heads, stack.head_dim) > 0
    assert stack.ffn > 0
    assert stack.heads % stack.kv_heads == 0
    assert found.embedding_parameters + found.head_parameters <= parameters


@given(parameters=st.integers(100_000, 10**13), encoder=st.booleans())
def test_every_size_has_a_usual_shape(parameters: int, encoder: bool) -> None:  # noqa: FBT001
    assert typical_architecture(parameters, encoder=encoder).parameters == parameters
