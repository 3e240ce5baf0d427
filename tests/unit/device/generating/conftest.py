"""A tiny decoder, and files of token ids."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.samples import encode_samples
from deployopt.device.setup import Setup
from tests.fakes.decoders import VOCABULARY, TinyDecoder, setup_for

Texts = Sequence[Sequence[int]]


@pytest.fixture
def twin() -> TinyDecoder:
    return TinyDecoder()


@pytest.fixture
def tiny(twin: TinyDecoder, tmp_path: Path) -> Setup:
    return setup_for(twin.save(tmp_path / "model"))


@pytest.fixture
def texts() -> Callable[..., list[list[int]]]:
    """Texts of these lengths, drawn by lot."""

    def draw(*lengths: int, seed: int = 0) -> list[list[int]]:
        lot = np.random.default_rng(seed)
        return [lot.integers(0, VOCABULARY, length).tolist() for length in lengths]

    return draw


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[str, Texts], Path]:
    """A file of token ids."""

    def store(name: str, found: Texts) -> Path:
        path = tmp_path / f"{name}.npz"
        feeds = [{"input_ids": np.asarray([one], dtype=np.int64)} for one in found]
        path.write_bytes(encode_samples(feeds))
        return path

    return store
