"""Shapes of requests that something built ahead has to answer."""

import numpy as np

from deployopt.core.engine import InputRange
from deployopt.core.interface import (
    ArrayInput,
    ArrayInputs,
    ImageInputs,
    Interface,
    PairInputs,
    Task,
    TextInputs,
)
from deployopt.core.workload import Workload
from deployopt.pipeline.profiles import one_shape, profile_for

TEXT = Interface(
    task=Task.TEXT_CLASSIFICATION,
    inputs=TextInputs(max_length=512),
    outputs=("logits",),
    labels=("no", "yes"),
)
IDS = ("input_ids", "attention_mask")


def test_texts_of_real_lengths() -> None:
    shapes = dict.fromkeys(IDS, (1, 46))
    assert profile_for(TEXT, Workload(batch=8), shapes, []) == tuple(
        InputRange(name=name, least=(1, 1), usual=(8, 46), most=(8, 512)) for name in IDS
    )


def test_texts_of_a_fixed_length() -> None:
    (ids, _) = profile_for(TEXT, Workload(length=128), {"input_ids": (1, 128)}, [])
    assert ids == InputRange(name="input_ids", least=(1, 128), usual=(1, 128), most=(1, 128))


def test_images_have_one_size() -> None:
    inputs = ImageInputs(input_name="x", height=64, width=48)
    interface = Interface(task=Task.IMAGE_CLASSIFICATION, inputs=inputs, outputs=("y",))
    (one,) = profile_for(interface, Workload(batch=4), None, [])
    assert (one.least, one.usual, one.most) == ((1, 3, 64, 48), (4, 3, 64, 48), (4, 3, 64, 48))


def test_arrays_are_as_large_as_those_that_were_seen() -> None:
    given = ArrayInput(name="x", dtype="float32", shape=("batch", "time", 8))
    interface = Interface(task=Task.ANY, inputs=ArrayInputs(inputs=(given,)), outputs=("y",))
    feeds = [{"x": np.zeros((1, n, 8), dtype=np.float32)} for n in (5, 30, 9)]
    (one,) = profile_for(interface, Workload(batch=2), {"x": (1, 9, 8)}, feeds)
    assert (one.least, one.usual, one.most) == ((1, 5, 8), (2, 9, 8), (2, 30, 8))


def test_whose_requests_have_one_shape() -> None:
    shapes = dict.fromkeys(IDS, (1, 46))
    assert not one_shape(profile_for(TEXT, Workload(batch=8), shapes, []))
    # Of a last batch there may be less.
    assert one_shape(profile_for(TEXT, Workload(batch=8, length=128), shapes, []))
    assert one_shape((InputRange(name="x", least=(1, 9), usual=(4, 9), most=(4, 9)),))
    assert not one_shape((InputRange(name="x", least=(1, 5), usual=(4, 9), most=(4, 9)),))
    assert not one_shape((InputRange(name="x", least=(1, 9), usual=(1, 9), most=(4, 9)),))
    assert not one_shape(())


def test_of_one_image_several_texts_are_asked() -> None:
    inputs = PairInputs(
        image=ImageInputs(input_name="x", height=8, width=8), text=TextInputs(max_length=77)
    )
    interface = Interface(task=Task.IMAGE_TEXT, inputs=inputs, outputs=("y",))
    shapes = {"x": (1, 3, 8, 8)} | dict.fromkeys(IDS, (1, 12))
    image, ids, mask = profile_for(interface, Workload(), shapes, [])
    assert image.most == (1, 3, 8, 8)
    assert (ids.name, mask.name) == IDS
    assert (ids.least, ids.usual, ids.most) == ((1, 1), (1, 12), (32, 77))


def test_texts_that_are_always_padded_have_one_length() -> None:
    text = TextInputs(max_length=64, padded=True, input_names=("input_ids",))
    inputs = PairInputs(image=ImageInputs(input_name="x", height=8, width=8), text=text)
    interface = Interface(task=Task.IMAGE_TEXT, inputs=inputs, outputs=("y",))
    for length in ("real", 12):
        _, ids = profile_for(interface, Workload(length=length), None, [])
        assert (ids.least, ids.usual, ids.most) == ((1, 64), (1, 64), (32, 64))
