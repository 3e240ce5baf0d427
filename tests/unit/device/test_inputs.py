"""Examples become requests."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.interface import (
    ArrayInput,
    ArrayInputs,
    ImageInputs,
    Interface,
    Task,
    TextInputs,
)
from deployopt.core.workload import Workload
from deployopt.device.inputs import feeds


def _text(max_length: int = 8, **changes: object) -> Interface:
    inputs = TextInputs(
        max_length=max_length,
        input_names=("input_ids", "attention_mask", "token_type_ids"),
        **changes,  # type: ignore[arg-type]
    )
    return Interface(task=Task.TEXT_CLASSIFICATION, inputs=inputs, outputs=("logits",))


def test_texts_keep_their_real_length_and_are_cut_at_the_model_s(assets: Path) -> None:
    made = list(feeds(_text(), assets, ["a good film", "bad " * 20], Workload()))
    assert [feed["input_ids"].shape for feed in made] == [(1, 3), (1, 8)]
    assert made[0]["input_ids"].tolist() == [[2, 11, 8]]
    assert made[0]["attention_mask"].tolist() == [[1, 1, 1]]
    assert made[0]["token_type_ids"].dtype == np.int64


def test_a_batch_is_padded_to_its_longest(assets: Path) -> None:
    made = list(feeds(_text(pad_id=7), assets, ["a good film", "bad", "it"], Workload(batch=2)))
    assert [feed["input_ids"].shape for feed in made] == [(2, 3), (1, 1)]
    assert made[0]["input_ids"].tolist()[1] == [5, 7, 7]
    assert made[0]["attention_mask"].tolist()[1] == [1, 0, 0]


def test_a_fixed_length_pads_and_cuts(assets: Path) -> None:
    made = list(feeds(_text(), assets, ["a", "bad " * 20], Workload(length=5)))
    assert [feed["input_ids"].shape for feed in made] == [(1, 5), (1, 5)]
    assert made[0]["attention_mask"].sum() == 1


def test_a_model_that_reads_padding_has_its_own_length(assets: Path) -> None:
    interface = _text(padded=True, pad_id=7)
    for length in ("real", 5):
        made = list(feeds(interface, assets, ["a", "bad " * 20], Workload(length=length)))
        assert [feed["input_ids"].shape for feed in made] == [(1, 8), (1, 8)]
        assert made[0]["input_ids"].tolist() == [[2, 7, 7, 7, 7, 7, 7, 7]]


def test_an_empty_text_is_still_a_request(assets: Path) -> None:
    made = list(feeds(_text(), assets, [""], Workload()))
    assert made[0]["input_ids"].shape == (1, 1)
    assert made[0]["attention_mask"].tolist() == [[0]]


def test_images_go_through_normalisation() -> None:
    inputs = ImageInputs(input_name="pixels", height=4, width=4)
    interface = Interface(task=Task.IMAGE_CLASSIFICATION, inputs=inputs, outputs=("logits",))
    images = [{"image": np.full((4, 4, 3), i, dtype=np.uint8)} for i in range(3)]
    made = list(feeds(interface, Path(), images, Workload(batch=2)))
    assert [feed["pixels"].shape for feed in made] == [(2, 3, 4, 4), (1, 3, 4, 4)]
    with pytest.raises(UsageError):
        list(feeds(interface, Path(), ["text"], Workload()))


def test_arrays_pass_as_they_are() -> None:
    inputs = ArrayInputs(inputs=(ArrayInput(name="x", dtype="float32", shape=("n", 2)),))
    interface = Interface(task=Task.ANY, inputs=inputs, outputs=("y",))
    arrays = [{"x": np.full((1, 2), i, dtype=np.float32)} for i in range(3)]
    made = list(feeds(interface, Path(), arrays, Workload(batch=2)))
    assert [feed["x"].shape for feed in made] == [(2, 2), (1, 2)]
    with pytest.raises(UsageError, match="'x'"):
        list(feeds(interface, Path(), [{"z": np.zeros(1)}], Workload()))
    uneven = [{"x": np.zeros((1, 2))}, {"x": np.zeros((1, 3))}]
    with pytest.raises(UsageError, match="batch = 1"):
        list(feeds(interface, Path(), uneven, Workload(batch=2)))


def test_arrays_for_a_text_model_are_refused(assets: Path) -> None:
    with pytest.raises(UsageError, match="takes text"):
        list(feeds(_text(), assets, [{"x": np.zeros(1)}], Workload()))


@pytest.mark.parametrize("data", [b"{}", b"\xff\xfe", b"not json"])
def test_a_tokenizer_that_is_none_is_an_integrity_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(data)
    with pytest.raises(IntegrityError):
        list(feeds(_text(), tmp_path, ["a"], Workload()))
    with pytest.raises(IntegrityError):
        list(feeds(_text(), tmp_path / "none", ["a"], Workload()))
