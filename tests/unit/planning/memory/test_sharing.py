"""What one device of several holds."""

import pytest

from deployopt.core.memory import Part, Sharding, Training
from deployopt.planning.memory.sharing import shared_parts
from tests.fakes.transformers_shapes import decoder

PARTS = (
    Part(name="weights", bytes=5504),
    Part(name="gradients", bytes=11008),
    Part(name="optimizer", bytes=22016),
)


def share(sharding: Sharding, devices: int = 4) -> dict[str, float]:
    training = Training(devices=devices, sharding=sharding)
    return {part.name: part.bytes for part in shared_parts(PARTS, decoder(), training)}


def test_one_device_shares_nothing() -> None:
    assert share(Sharding.FSDP, devices=1) == {part.name: part.bytes for part in PARTS}


def test_ddp_holds_everything_and_a_bucket() -> None:
    found = share(Sharding.DDP)
    assert found["weights"] == 5504
    assert found["gradient bucket"] == found["gradients"] == 11008


def test_zero_2_splits_gradients_and_states() -> None:
    found = share(Sharding.ZERO2)
    assert (found["weights"], found["gradients"], found["optimizer"]) == (5504, 2752, 5504)


def test_fsdp_splits_the_weights_and_gathers_two_layers() -> None:
    found = share(Sharding.FSDP)
    assert found["weights"] == 1376
    assert found["gathered"] == pytest.approx(2 * 576 * 2)


def test_never_more_is_gathered_than_others_hold() -> None:
    alone = decoder(stacks=(), embedding_parameters=2752)
    training = Training(devices=2, sharding=Sharding.FSDP)
    found = {part.name: part.bytes for part in shared_parts(PARTS, alone, training)}
    assert found["weights"] + found["gathered"] == 5504
