"""A reference on a card: how many go together, what memory that runs out does, that all is there.

There is no card here. torch's `cpu` is in its place, or its `meta`, on which nothing has values and
anything that was left behind on the CPU is an error.
"""

import os
import re
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployopt.core.choices import ChoiceQuestion
from deployopt.core.worked import Worked
from tests.fakes.chat import WORDS, write_tiny_llama
from tests.fakes.encoders import encoder, feeds, interface, saved

pytestmark = pytest.mark.torch

GIB = 2**30


def stand_in(device: str = "cpu", free: int = 4 * GIB, each: int = GIB) -> Any:
    """A card of so much free memory, of which an example takes so much."""
    import torch

    from deployopt.modeling.reference_card import Card

    class StandIn(Card):
        def __init__(self) -> None:
            super().__init__(torch.device(device))
            self.asked = 0
            self.released = 0

        def free_bytes(self) -> int:
            return free

        def begin(self) -> None:
            self.asked = 0

        def peak_bytes(self) -> int:
            return each * self.asked

        def release(self) -> None:
            self.released += 1

    return StandIn()


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Have torch see this card."""
    from deployopt.modeling import reference_card

    return lambda card: monkeypatch.setattr(reference_card, "first_card", lambda: card)


def in_order(rows: Sequence[int], size: int) -> list[list[int]]:
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def asked_of(card: Any, count: int, batch: int, *, most: int | None = None) -> list[list[int]]:
    """The groups that a place asked; more than `most` at once do not fit."""
    import torch

    from deployopt.modeling.reference_card import Place

    groups: list[list[int]] = []

    def ask(rows: list[int]) -> None:
        if card is not None:
            card.asked = len(rows)
        if most is not None and len(rows) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        groups.append(rows)

    Place(card).ask(range(count), in_order, batch, ask)
    assert sorted(row for rows in groups for row in rows) == list(range(count))
    return groups


def test_on_a_cpu_groups_are_asked_as_they_come() -> None:
    assert asked_of(None, 5, 2) == [[0, 1], [2, 3], [4]]


def test_on_a_card_the_last_comes_first_and_the_rest_by_free_memory() -> None:
    # Half of 16 GiB is for 8 of a GiB each.
    groups = asked_of(stand_in(free=16 * GIB), 20, 2)
    assert groups[0] == [18, 19]
    assert [len(rows) for rows in groups[1:]] == [2, 8, 8]
    # What fits is never fewer than what was asked for; and never more than this.
    assert [len(rows) for rows in asked_of(stand_in(free=GIB), 6, 2)] == [2, 2, 2]
    assert max(map(len, asked_of(stand_in(each=1), 600, 2))) == 256


def test_where_memory_runs_out_half_as_many_go_together() -> None:
    card = stand_in()
    groups = asked_of(card, 21, 16, most=3)
    assert max(map(len, groups)) <= 3
    assert card.released > 0


def test_what_does_not_fit_alone_is_asked_no_more() -> None:
    import torch

    with pytest.raises(torch.OutOfMemoryError):
        asked_of(stand_in(), 5, 4, most=0)


def test_the_module_is_on_the_card_and_then_back(put: Callable[[Any], None]) -> None:
    import torch

    from deployopt.modeling.reference_card import CPU, worked_out

    moved: list[object] = []

    class Followed(torch.nn.Linear):  # type: ignore[misc] # torch is not followed
        def to(self, device: object) -> object:
            moved.append(device)
            return super().to(device)

    card = stand_in("cpu:0")
    put(card)
    worked_out(Followed(2, 2), lambda place: moved.append(place.device))
    assert moved == [card.device, card.device, CPU]


def test_what_does_not_fit_alone_is_worked_out_on_the_cpu(put: Callable[[Any], None]) -> None:
    import torch

    from deployopt.modeling.reference_card import CPU, Place, worked_out

    card, worked, places = stand_in(), Worked(), []
    put(card)

    def work(place: Place) -> str:
        places.append(place)
        if len(places) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        assert card.released == 1
        return "answers"

    assert worked_out(torch.nn.Linear(2, 2), work, worked) == "answers"
    assert len(places) == 2
    assert places[1].device == CPU
    assert not worked.on_card
    assert worked.note.startswith("The card's memory ran out over the reference")


@pytest.mark.parametrize("words", ["CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"])
def test_libraries_beside_torch_say_in_words_that_memory_ran_out(words: str) -> None:
    from deployopt.modeling.reference_card import exhausted

    assert exhausted(RuntimeError(words))
    assert not exhausted(RuntimeError("CUDA error: an illegal memory access was encountered"))


def test_any_other_fault_of_the_card_is_told_and_no_reason_to_go_on(
    put: Callable[[Any], None],
) -> None:
    import torch

    from deployopt.modeling.reference_card import Place, worked_out

    card = stand_in()
    put(card)
    module = torch.nn.Linear(2, 2)

    def work(place: Place) -> None:
        del place
        raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(RuntimeError, match="device-side assert"):
        worked_out(module, work)
    assert card.released == 1
    assert next(module.parameters()).device.type == "cpu"


def test_a_card_that_is_too_small_is_left_alone_and_named(put: Callable[[Any], None]) -> None:
    import torch

    from deployopt.modeling.reference_card import Place, worked_out

    put(stand_in(free=GIB))
    worked = Worked()
    module = torch.nn.Linear(512, 512)
    assert worked_out(module, lambda place: place.device.type, worked) == "cpu"
    assert not worked.on_card
    assert "are free; it was worked out on the CPU" in worked.note
    put(stand_in(free=GIB + 2 * 2**20))
    assert worked_out(module, Place.__class__, worked := Worked()) is Place
    assert (worked.on_card, worked.note) == (True, "")


def test_without_a_card_nothing_is_said(put: Callable[[Any], None]) -> None:
    import torch

    from deployopt.modeling.reference_card import worked_out

    put(None)
    worked = Worked()
    assert worked_out(torch.nn.Linear(2, 2), lambda place: place.device.type, worked) == "cpu"
    assert worked == Worked()


def test_float32_is_float32_while_a_card_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from deployopt.modeling.reference_card import plain_float32

    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    products, layers = torch.backends.cuda.matmul, torch.backends.cudnn

    def state() -> tuple[bool, ...]:
        return (products.allow_tf32, layers.allow_tf32, layers.deterministic, layers.benchmark)

    before = state()
    with plain_float32():
        assert state() == (False, False, True, False)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert state() == before


@pytest.mark.parametrize("family", ["bert", "roberta", "vit"])
def test_answers_are_the_same_wherever_they_are_worked_out(
    tmp_path: Path, put: Callable[[Any], None], family: str
) -> None:
    from deployopt.modeling.reference import predict

    folder = saved(tmp_path, encoder(family))
    put(None)
    there = predict(folder, interface(family), feeds(family, 40))
    # Fewer and more at once than on the CPU.
    for card in (stand_in(free=2 * GIB), stand_in(each=1)):
        put(card)
        worked = Worked()
        found = predict(folder, interface(family), feeds(family, 40), batch=4, worked=worked)
        assert worked.on_card
        assert np.allclose(found, there, atol=1e-5)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, put: Callable[[Any], None]) -> Callable[..., str]:
    """Work on the `meta` device, and our line where a value was needed, which ends it."""
    import torch

    put(stand_in("meta"))
    plain = torch.Tensor.__bool__
    # transformers asks whether a mask masks anything.
    monkeypatch.setattr(
        torch.Tensor, "__bool__", lambda self: True if self.is_meta else plain(self)
    )

    def ends(work: Callable[[], object]) -> str:
        with pytest.raises((NotImplementedError, RuntimeError)) as raised:
            work()
        first: BaseException = raised.value
        while first.__context__ is not None:
            first = first.__context__
        frames = traceback.extract_tb(first.__traceback__)
        ours = [one for one in frames if "deployopt/modeling" in one.filename]
        return f"{ours[-1].line}: {first}"

    return ends


@pytest.mark.parametrize("family", ["bert", "roberta", "vit"])
def test_nothing_of_a_classifier_stays_behind(
    tmp_path: Path, nowhere: Callable[..., str], family: str
) -> None:
    from deployopt.modeling.reference import predict

    folder = saved(tmp_path, encoder(family))
    ended = nowhere(lambda: predict(folder, interface(family), feeds(family)))
    assert re.match(r".*\.cpu\(\).*: Cannot copy out of meta tensor", ended)


def test_nothing_of_a_language_model_stays_behind(
    tmp_path: Path, nowhere: Callable[..., str]
) -> None:
    from deployopt.modeling.language.scoring import score

    folder = write_tiny_llama(tmp_path / "m")
    random = np.random.default_rng(0)
    text = [{"input_ids": random.integers(3, WORDS, (1, 20))}]
    question = ChoiceQuestion(
        prompt=(3, 4, 5), choices=((6, 7), (8, 9, 10)), sizes=(2, 3), answer=0
    )
    asked = (
        lambda: score(folder, text, []),
        lambda: score(folder, [], text),
        lambda: score(folder, [], [], questions=[question]),
    )
    for work, line in zip(asked, ("float(cross_entropy", "tolist()", "tolist()"), strict=True):
        ended = nowhere(work)
        assert line in ended
        assert "meta tensor" in ended


@pytest.mark.gpu
@pytest.mark.parametrize("family", ["bert", "roberta", "vit"])
def test_a_card_answers_as_the_cpu_does_and_twice_the_same(
    tmp_path: Path, put: Callable[[Any], None], family: str
) -> None:
    from deployopt.modeling.reference import predict
    from deployopt.modeling.reference_card import first_card

    card = first_card()
    if card is None:
        pytest.skip("this torch sees no card")
    folder = saved(tmp_path, encoder(family))
    found = []
    for _ in range(2):
        worked = Worked()
        found.append(predict(folder, interface(family), feeds(family, 40), worked=worked))
        assert (worked.on_card, worked.note) == (True, "")
    assert np.array_equal(found[0], found[1])
    put(None)
    assert np.allclose(found[0], predict(folder, interface(family), feeds(family, 40)), atol=1e-4)


@pytest.mark.gpu
def test_a_card_scores_a_language_model_as_the_cpu_does(
    tmp_path: Path, put: Callable[[Any], None]
) -> None:
    from deployopt.modeling.language.scoring import score
    from deployopt.modeling.reference_card import first_card

    if first_card() is None:
        pytest.skip("this torch sees no card")
    folder = write_tiny_llama(tmp_path / "m")
    random = np.random.default_rng(0)
    texts = [{"input_ids": random.integers(3, WORDS, (1, 150))} for _ in range(3)]
    worked = Worked()
    there = score(folder, texts, texts, answer=8, worked=worked)
    assert worked.on_card
    put(None)
    here = score(folder, texts, texts, answer=8)
    assert there.nll == pytest.approx(here.nll, rel=1e-5)
    assert there.chosen == here.chosen
