"""Several texts at once say what each says alone."""

import numpy as np
import pytest

from deployopt.core.errors import DeviceError, UsageError
from deployopt.device.generating.batches import Batch
from deployopt.device.generating.decoder import open_decoder
from deployopt.device.setup import Setup
from tests.fakes.decoders import END, VOCABULARY, TinyDecoder


def _rows(count: int, length: int) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    drawn = np.random.default_rng(2).integers(0, VOCABULARY - 1, (count, length))
    return np.where(drawn == END, END + 1, drawn)


@pytest.mark.parametrize(("count", "length"), [(1, 5), (4, 9), (1, 300), (3, 200)])
def test_every_row_goes_on_as_it_would_alone(
    tiny: Setup, twin: TinyDecoder, count: int, length: int
) -> None:
    rows = _rows(count, length)
    batch = Batch(open_decoder(tiny, stops=False), rows, length + 6)
    found = np.asarray([batch.next() for _ in range(6)]).T
    assert found.tolist() == [twin.answer(row, 6) for row in rows]


def test_what_would_be_masked_is_refused(tiny: Setup) -> None:
    rows = _rows(2, 4)
    rows[1, 2] = END  # also what this model pads with
    with pytest.raises(UsageError, match="none of which is padding"):
        Batch(open_decoder(tiny, stops=False), rows, 10)


def test_a_context_that_is_full_is_said(tiny: Setup) -> None:
    batch = Batch(open_decoder(tiny, stops=False), _rows(2, 4), 5)
    batch.next()
    with pytest.raises(DeviceError, match="onnxruntime-genai failed"):
        batch.next()
    with pytest.raises(DeviceError, match="onnxruntime-genai failed"):
        Batch(open_decoder(tiny, stops=False), _rows(2, 40), 5)
