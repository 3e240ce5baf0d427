"""Images beside the reference's."""

import numpy as np
import pytest

from deployopt.core.errors import IntegrityError
from deployopt.core.samples import Array, Feed
from deployopt.device.drawing.pairing import pair_drawings

LOT = np.random.default_rng(0)
WANTED = LOT.uniform(-1, 1, (4, 3, 8, 8)).astype(np.float32)


def answers(images: Array, batch: int = 1, **more: Array) -> list[Feed]:
    return [{"image": images[at : at + batch], **more} for at in range(0, len(images), batch)]


def apart(share: float) -> Array:
    """The second image this far from the reference's."""
    found = WANTED.copy()
    noise = LOT.standard_normal(WANTED[1].shape)
    noise *= share * np.sqrt((WANTED[1].astype(np.float64) ** 2).mean() / (noise**2).mean())
    found[1] = WANTED[1] + noise
    return found


def test_the_same_images_in_other_batches() -> None:
    paired = pair_drawings("image", answers(WANTED), answers(WANTED, batch=3))
    assert paired.agree.tolist() == [True] * 4
    assert (paired.drift.median, paired.drift.worst) == (0.0, 0.0)
    assert paired.drift.parts_s == {}


@pytest.mark.parametrize(("share", "agrees"), [(0.099, True), (0.101, False)])
def test_the_limit_is_a_tenth(share: float, *, agrees: bool) -> None:
    paired = pair_drawings("image", answers(WANTED), answers(apart(share)))
    assert paired.agree.tolist() == [True, agrees, True, True]
    assert paired.drift.worst == pytest.approx(share, rel=1e-3)
    assert paired.drift.median == 0.0


def test_a_number_that_is_not_finite_never_agrees() -> None:
    found = WANTED.copy()
    found[2, 0, 0, 0] = np.nan
    paired = pair_drawings("image", answers(WANTED), answers(found))
    assert paired.agree.tolist() == [True, True, False, True]
    assert np.isfinite(paired.drift.worst)


def test_what_each_part_took_of_an_image() -> None:
    outputs = answers(WANTED, batch=2, seconds=np.array([0.2, 3.0, 0.4]))
    took = pair_drawings("image", answers(WANTED), outputs).drift.parts_s
    assert took == pytest.approx(
        {"text_encoder.onnx": 0.1, "unet.onnx": 1.5, "vae_decoder.onnx": 0.2}
    )


def test_images_of_other_examples() -> None:
    with pytest.raises(IntegrityError, match="drew 4 images and the candidate 3"):
        pair_drawings("image", answers(WANTED), answers(WANTED[:3]))
    with pytest.raises(IntegrityError, match="of another"):
        pair_drawings("image", answers(WANTED), answers(WANTED[:, :, :4]))
    with pytest.raises(IntegrityError, match="no output 'image'"):
        pair_drawings("image", [{"logits": WANTED}], answers(WANTED[:1]))
