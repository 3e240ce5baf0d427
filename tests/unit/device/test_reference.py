"""The reference's answers as a file."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.errors import IntegrityError, RefusedInputError
from deployopt.core.interface import Interface, Task
from deployopt.device.reference import (
    classes_of,
    decode_reference,
    encode_reference,
    logits_of,
    reference_of,
)


def test_a_classifier_s_answers_read_back_and_are_always_the_same_bytes(
    tmp_path: Path, interface: Interface
) -> None:
    outputs = [{"logits": np.array([[0.2, 0.1], [0.0, 3.0]], dtype=np.float32)}] * 2
    reference = reference_of(interface, outputs)
    data = encode_reference(reference)
    assert data == encode_reference(reference)
    (tmp_path / "r.npz").write_bytes(data)
    again = decode_reference(tmp_path / "r.npz")
    assert len(again) == 4
    assert again.classes is not None
    assert again.classes.tolist() == [0, 1, 0, 1]
    assert again.logits is not None
    assert again.logits.dtype == np.float32


def test_any_other_graph_keeps_its_outputs_by_request(tmp_path: Path, interface: Interface) -> None:
    free = msgspec.structs.replace(interface, task=Task.ANY, labels=())
    outputs = [{"y": np.zeros((1, n), dtype=np.float32)} for n in (2, 3)]
    (tmp_path / "r.npz").write_bytes(encode_reference(reference_of(free, outputs)))
    again = decode_reference(tmp_path / "r.npz")
    assert again.results is not None
    assert [result["y"].shape for result in again.results] == [(1, 2), (1, 3)]
    assert len(again) == 2


def test_a_logit_that_is_not_finite_has_no_class() -> None:
    logits = np.array([[np.nan, 1.0], [np.inf, 0.0], [0.0, 1.0]], dtype=np.float32)
    assert classes_of(logits).tolist() == [-1, -1, 1]


def test_another_number_of_classes_is_refused(interface: Interface) -> None:
    with pytest.raises(IntegrityError, match=r"\[1, 3\]"):
        logits_of(interface, [{"logits": np.zeros((1, 3), dtype=np.float32)}])


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.npz"
    path.write_bytes(b"no")
    with pytest.raises(RefusedInputError):
        decode_reference(path)
    np.savez(path, classes=np.zeros(3, dtype=np.int64), outputs=np.zeros((2, 2)))
    with pytest.raises(RefusedInputError, match="do not fit"):
        decode_reference(path)
