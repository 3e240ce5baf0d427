"""Answers of a reference are kept by where they were worked out, and taken from either place."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from deployopt.core.worked import Worked
from deployopt.device.cuda_driver import Card
from deployopt.device.machine import describe_machine
from deployopt.pipeline import references as module
from deployopt.pipeline.references import ReferenceKeys, reference_keys
from deployopt.store.store import Store

H100 = Card(
    name="NVIDIA H100 80GB HBM3",
    compute_capability="9.0",
    memory_bytes=80 * 2**30,
    cuda=13000,
    driver="580.95.05",
)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ReferenceKeys]:
    """The keys on a machine with this card and this torch."""

    def found(
        card: Card | None = H100, *, torch: str = "2.13.0", threads: int = 4, isa: str = "avx2"
    ) -> ReferenceKeys:
        here = describe_machine(runtime=False)
        machine = msgspec.structs.replace(here, isa=(isa,))
        missing = None if card is not None else "there is no NVIDIA driver"
        with monkeypatch.context() as patch:
            patch.setattr(module, "describe_machine", lambda **_: machine)
            patch.setattr(module, "driver_missing", lambda: missing)
            patch.setattr(module, "describe_card", lambda: card)
            patch.setattr(module, "tool_versions", lambda names: dict.fromkeys(names, torch))
            return reference_keys({"artifact": "a"}, ("torch", "numpy"), threads)

    return found


def test_only_what_decides_the_last_bits_tells_them_apart(
    seen: Callable[..., ReferenceKeys],
) -> None:
    first = seen()
    assert first.card is not None
    assert first.card != first.cpu
    # Threads and instructions are of answers on the CPU, which a card does not change.
    for changed in (seen(threads=2), seen(isa="avx512")):
        assert changed.cpu != first.cpu
        assert changed.card == first.card
    assert seen(None) == msgspec.structs.replace(first, card=None)
    other = seen(msgspec.structs.replace(H100, name="NVIDIA H200"))
    assert other.card != first.card
    assert other.cpu == first.cpu
    newer = seen(msgspec.structs.replace(H100, driver="590.1", memory_bytes=1))
    assert newer == first


def test_a_torch_without_cuda_has_no_card(seen: Callable[..., ReferenceKeys]) -> None:
    assert seen(torch="2.13.0+cpu").card is None
    assert seen(torch="2.13.0+cu130").card is not None


def test_what_either_place_worked_out_is_taken(
    tmp_path: Path, seen: Callable[..., ReferenceKeys]
) -> None:
    keys, alone = seen(), seen(None)
    with Store(tmp_path) as store:
        assert keys.lookup(store) is None
        for text, worked in (("cpu", Worked()), ("card", Worked(on_card=True))):
            with store.stage() as folder:
                (folder / "answers").write_text(text)
                store.commit(folder, keys.of(worked))
            stored = keys.lookup(store)
            assert stored is not None
            assert (stored.folder / "answers").read_text() == text
        # A machine whose card is gone has the CPU's, as it was.
        stored = alone.lookup(store)
        assert stored is not None
        assert (stored.folder / "answers").read_text() == "cpu"


def test_answers_that_fell_back_are_kept_as_the_cpus(seen: Callable[..., ReferenceKeys]) -> None:
    keys, alone = seen(), seen(None)
    assert keys.of(Worked(note="The card's memory ran out.")) == keys.cpu
    assert alone.of(Worked(on_card=True)) == alone.cpu
