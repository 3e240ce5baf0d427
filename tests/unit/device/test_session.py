"""Opening a model."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.artifact import SessionOptions
from deployopt.core.errors import DeviceError, IntegrityError, RefusedInputError
from deployopt.device.session import open_session
from deployopt.device.setup import Setup


def test_a_model_answers_with_optimizers_left_out_and_entries_set(text_setup: Setup) -> None:
    options = SessionOptions(
        disabled_optimizers=("SkipLayerNormFusion",),
        config_entries={"session.intra_op.allow_spinning": "0"},
    )
    session = open_session(msgspec.structs.replace(text_setup, session=options))
    ids = np.array([[2, 3]], dtype=np.int64)
    answer = session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert answer[0].shape == (1, 2)


def test_a_newer_opset_says_what_to_install(assets: Path, text_setup: Setup) -> None:
    setup = msgspec.structs.replace(text_setup, model=assets / "future.onnx")
    with pytest.raises(IntegrityError, match=r"has opset 99.*reads up to \d+.*[Ii]nstall"):
        open_session(setup)


def test_a_newer_ir_version_is_said(tmp_path: Path, assets: Path, text_setup: Setup) -> None:
    data = (assets / "log.onnx").read_bytes()
    assert data[:2] == b"\x08\x08"
    (tmp_path / "m.onnx").write_bytes(b"\x08\x63" + data[2:])
    with pytest.raises(IntegrityError, match="IR version 99"):
        open_session(msgspec.structs.replace(text_setup, model=tmp_path / "m.onnx"))


def test_a_torn_model_is_an_integrity_error(
    tmp_path: Path, assets: Path, text_setup: Setup
) -> None:
    data = bytearray((assets / "image.onnx").read_bytes())
    data[60:80] = b"\xff" * 20
    (tmp_path / "m.onnx").write_bytes(bytes(data))
    with pytest.raises((IntegrityError, RefusedInputError)):
        open_session(msgspec.structs.replace(text_setup, model=tmp_path / "m.onnx"))


def test_a_provider_that_is_not_there_is_named(text_setup: Setup) -> None:
    with pytest.raises(DeviceError, match="NvTensorRTRTX"):
        open_session(msgspec.structs.replace(text_setup, provider="tensorrt-rtx"))


@pytest.mark.parametrize(
    "entry", ["session.optimized_model_external_initializers_file_name", "ep.context_file_path"]
)
def test_entries_that_name_files_are_refused(text_setup: Setup, entry: str) -> None:
    options = SessionOptions(config_entries={entry: "/etc/passwd"})
    with pytest.raises(RefusedInputError, match="not one that a bundle may set"):
        open_session(msgspec.structs.replace(text_setup, session=options))
