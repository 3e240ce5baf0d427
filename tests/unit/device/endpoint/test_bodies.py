"""Bodies become inputs, or a status and a sentence."""

import io

import numpy as np
import pytest

from deployopt.core.interface import Interface
from deployopt.device.endpoint.bodies import inputs_of
from deployopt.device.endpoint.limits import RefusedRequestError
from tests.fakes.served import IMAGE, PLAIN, TEXT

JSON = "application/json; charset=utf-8"


def test_texts() -> None:
    assert inputs_of(TEXT, JSON, '{"inputs": ["é", ""]}'.encode(), 2) == ["é", ""]


@pytest.mark.parametrize(
    ("interface", "kind", "body", "status", "said"),
    [
        (TEXT, "text/plain", b'{"inputs": ["a"]}', 415, "Send JSON"),
        (TEXT, "", b'{"inputs": ["a"]}', 415, "Send JSON"),
        (TEXT, JSON, b"", 400, "not of the form"),
        (TEXT, JSON, b"\xff", 400, "not of the form"),
        (TEXT, JSON, b"[" * 200_000, 400, "not of the form"),
        (TEXT, JSON, b'{"inputs": "a"}', 400, "Expected `array`"),
        (TEXT, JSON, b'{"inputs": [1]}', 400, "Expected `str`"),
        (TEXT, JSON, b'{"inputs": ["a"], "more": 1}', 400, "unknown field"),
        (TEXT, JSON, b'{"inputs": ["\\ud800"]}', 400, "not of the form"),
        (TEXT, JSON, b'{"inputs": []}', 400, "no inputs"),
        (TEXT, JSON, b'{"inputs": ["a", "b", "c"]}', 413, "may have 2 inputs"),
        (PLAIN, JSON, b'{"inputs": [{"x": [[1, 2], [3]]}]}', 400, "An array cannot be read"),
        (PLAIN, JSON, b'{"inputs": [{"z": [[1, 2]]}]}', 400, "no input 'z'; there is x"),
        (IMAGE, JSON, b"{}", 415, "image/jpeg"),
        (IMAGE, "image/png", b"none", 400, "not an image"),
        (IMAGE, "application/x-npy", b"\x93NUMPY", 400, "not an image"),
    ],
)
def test_what_is_wrong(
    interface: Interface, kind: str, body: bytes, status: int, said: str
) -> None:
    pytest.importorskip("PIL")
    with pytest.raises(RefusedRequestError) as refusal:
        inputs_of(interface, kind, body, 2)
    assert refusal.value.status == status
    assert said in refusal.value.message


def test_arrays_have_the_graph_s_type() -> None:
    (found,) = inputs_of(PLAIN, JSON, b'{"inputs": [{"x": [[1, 2]]}]}', 2)
    assert isinstance(found, dict)
    assert (found["x"].dtype, found["x"].tolist()) == (np.float32, [[1.0, 2.0]])


@pytest.mark.parametrize("form", ["npy", "png"])
def test_images(form: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    stream = io.BytesIO()
    if form == "npy":
        np.save(stream, pixels)
    else:
        pytest.importorskip("PIL.Image").fromarray(pixels).save(stream, "PNG")
    (found,) = inputs_of(IMAGE, f"image/{form}", stream.getvalue(), 1)
    assert np.array_equal(np.asarray(found), pixels)
