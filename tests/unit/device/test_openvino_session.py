"""Opening a model in OpenVINO; what is refused is refused without OpenVINO, too."""

import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.artifact import SessionOptions
from deployopt.core.errors import DeviceError, IntegrityError, RefusedInputError
from deployopt.device.session import import_runtime, open_session
from deployopt.device.setup import Setup

needs_openvino = pytest.mark.openvino
IDS = np.array([[2, 3, 4]], dtype=np.int64)
FEED = {"input_ids": IDS, "attention_mask": np.ones_like(IDS)}


@pytest.fixture
def setup(tmp_path: Path, text_setup: Setup) -> Setup:
    """Files that begin as they should and say nothing."""
    (tmp_path / "m.xml").write_text('<?xml version="1.0"?>\n<net name="g" version="11"></net>\n')
    (tmp_path / "m.bin").write_bytes(b"")
    return msgspec.structs.replace(text_setup, model=tmp_path / "m.xml", runtime="openvino")


@needs_openvino
def test_it_answers_as_onnxruntime_does_at_any_length(
    text_setup: Setup, text_openvino: Path
) -> None:
    ours = open_session(text_setup)
    other = open_session(
        msgspec.structs.replace(text_setup, model=text_openvino, runtime="openvino")
    )
    assert [output.name for output in other.get_outputs()] == ["logits"]
    answers = []
    for length in (3, 9, 3):
        ids = np.arange(2, 2 + length, dtype=np.int64)[None]
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        answers.append(other.run(["logits"], feed)[0])
        np.testing.assert_allclose(answers[-1], ours.run(["logits"], feed)[0], atol=1e-5)
    # An answer is the caller's own: the next request must not write into it.
    np.testing.assert_array_equal(answers[0], answers[2])
    assert not np.array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(other.run(None, FEED)[0], other.run(["logits"], FEED)[0])


@needs_openvino
def test_a_request_that_fails_is_a_device_error(text_setup: Setup, text_openvino: Path) -> None:
    session = open_session(
        msgspec.structs.replace(text_setup, model=text_openvino, runtime="openvino")
    )
    with pytest.raises(DeviceError, match="OpenVINO failed on this input"):
        session.run(["logits"], {"nothing": IDS})
    with pytest.raises(DeviceError, match="failed on this input"):
        session.run(["other"], FEED)
    assert session.run(["logits"], FEED)[0].shape == (1, 2)


@needs_openvino
@pytest.mark.parametrize(
    ("find", "put"),
    [
        (' version="opset1"', ' version="extension"'),
        (' type="MatMul"', ' type="../../evil.so"'),
        (' offset="0"', ' offset="1000000000000"'),
        ("<layers>", "<layers><layers>"),
    ],
)
def test_a_graph_that_names_what_is_not_there_is_refused(
    text_setup: Setup, text_openvino: Path, tmp_path: Path, find: str, put: str
) -> None:
    text = text_openvino.read_text()
    assert find in text
    (tmp_path / "m.xml").write_text(text.replace(find, put))
    (tmp_path / "m.bin").write_bytes(text_openvino.with_suffix(".bin").read_bytes())
    setup = msgspec.structs.replace(text_setup, model=tmp_path / "m.xml", runtime="openvino")
    with pytest.raises(IntegrityError, match=r"m\.xml is not a model that OpenVINO"):
        open_session(setup)


@needs_openvino
def test_weights_that_are_cut_short_are_refused(
    text_setup: Setup, text_openvino: Path, tmp_path: Path
) -> None:
    (tmp_path / "m.xml").write_bytes(text_openvino.read_bytes())
    (tmp_path / "m.bin").write_bytes(text_openvino.with_suffix(".bin").read_bytes()[:100])
    setup = msgspec.structs.replace(text_setup, model=tmp_path / "m.xml", runtime="openvino")
    with pytest.raises(IntegrityError, match="not a model"):
        open_session(setup)


@pytest.mark.parametrize("name", ["text.onnx", "tokenizer.json"])
def test_only_its_own_form_is_shown_to_it(assets: Path, setup: Setup, name: str) -> None:
    setup.model.write_bytes((assets / name).read_bytes())
    with pytest.raises(RefusedInputError, match="does not begin as"):
        open_session(setup)


def test_weights_that_are_missing_are_said(setup: Setup) -> None:
    setup.model.with_suffix(".bin").unlink()
    with pytest.raises(IntegrityError, match=r"m\.bin is missing"):
        open_session(setup)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (SessionOptions(config_entries={"CACHE_DIR": "/tmp"}), "CACHE_DIR.*not one that a bundle"),  # noqa: S108
        (SessionOptions(config_entries={"INFERENCE_NUM_THREADS": "9"}), "not one that a bundle"),
        (SessionOptions(disabled_optimizers=("SkipLayerNormFusion",)), "has none of these names"),
    ],
)
def test_settings_that_are_not_allowed_are_refused(
    setup: Setup, options: SessionOptions, said: str
) -> None:
    with pytest.raises(RefusedInputError, match=said):
        open_session(msgspec.structs.replace(setup, session=options))


def test_it_is_for_cpus_only(setup: Setup) -> None:
    with pytest.raises(DeviceError, match="on CPUs only"):
        open_session(msgspec.structs.replace(setup, provider="cuda"))


def test_a_machine_without_openvino_says_what_to_install(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(DeviceError, match=r"cannot be used here.*pip install 'openvino>="):
        open_session(setup)
    with pytest.raises(DeviceError, match="pip install"):
        import_runtime("openvino")
