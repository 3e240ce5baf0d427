"""Which files go with a request, and where they are to lie."""

import shutil
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import IntegrityError, RefusedInputError, StorageError
from deployopt.core.interface import ImageInputs, Interface, PairInputs, Task, TextInputs
from deployopt.device.protocol import (
    AnswerRequest,
    EvaluateRequest,
    ScoreRequest,
    SettingRequest,
    TimeRequest,
    decode_request,
)
from deployopt.device.setup import EvaluationSet, Limits, Setup
from deployopt.remote.travelling import made_ready
from deployopt.store.digests import DigestMemo, sha256_file
from tests.fakes.decoders import TinyDecoder, setup_for

ASSETS = Path(__file__).parents[2] / "assets"


def _setup(folder: Path, *names: str) -> Setup:
    for name in names:
        (folder / name).write_text(name)
    return Setup(artifact="a" * 64, model=folder / names[0], threads=1)


def _time(setup: Setup, folder: Path) -> TimeRequest:
    (folder / "feeds-0.npz").write_bytes(b"feeds")
    feeds = folder / "feeds-0.npz"
    return TimeRequest(setup=setup, feeds=feeds, expected=feeds, requests=1, min_s=0, seed=0)


def test_a_model_brings_what_lies_beside_it_and_no_more(tmp_path: Path) -> None:
    setup = _setup(tmp_path, "model.onnx", "model.onnx.data", "other.onnx", "secret.txt")
    found = made_ready(_time(setup, tmp_path), DigestMemo())
    assert {path.name for path in found.files} == {"model.onnx", "model.onnx.data", "feeds-0.npz"}
    places = {path.name: path for path in found.files}
    assert places["model.onnx"].parent == places["model.onnx.data"].parent
    assert found.request.setup.model == places["model.onnx"]
    assert isinstance(found.request, TimeRequest)
    assert found.request.feeds == found.request.expected == places["feeds-0.npz"]
    for path, file in found.files.items():
        assert not path.is_absolute()
        assert file.sha256 == sha256_file(tmp_path / path.name)


def test_weights_of_openvinos_form(tmp_path: Path) -> None:
    setup = _setup(tmp_path, "model.xml", "model.bin", "model.xml.data")
    setup = msgspec.structs.replace(setup, runtime="openvino")
    found = made_ready(_time(setup, tmp_path), DigestMemo())
    assert {path.name for path in found.files} == {"model.xml", "model.bin", "feeds-0.npz"}


def _evaluate(tmp_path: Path, tokenizer: str = "tokenizer.json") -> EvaluateRequest:
    (tmp_path / "examples.jsonl").write_text("{}")
    if not (tmp_path / "tokenizer.json").exists():
        shutil.copy(ASSETS / "tokenizer.json", tmp_path)
    interface = Interface(
        task=Task.TEXT_CLASSIFICATION,
        inputs=TextInputs(max_length=8, tokenizer=tokenizer),
        outputs=("logits",),
    )
    data = EvaluationSet(interface=interface, folder=tmp_path, examples=tmp_path / "examples.jsonl")
    return EvaluateRequest(
        setup=_setup(tmp_path, "model.onnx"), data=data, result=tmp_path / "outputs.npz"
    )


def test_the_tokenizer_lies_in_the_folder_that_the_request_names(tmp_path: Path) -> None:
    found = made_ready(_evaluate(tmp_path), DigestMemo())
    assert isinstance(found.request, EvaluateRequest)
    assert found.request.data.folder / "tokenizer.json" in found.files
    assert found.request.data.examples in found.files
    assert not found.request.result.is_absolute()
    ask = found.ask(Limits())
    assert decode_request(bytes(ask.request)) == found.request
    assert str(tmp_path) not in repr(ask)


def test_the_tokenizer_of_an_image_text_model_goes_too(tmp_path: Path) -> None:
    asked = _evaluate(tmp_path)
    pairs = Interface(
        task=Task.IMAGE_TEXT,
        inputs=PairInputs(
            image=ImageInputs(input_name="pixel_values", height=8, width=8),
            text=TextInputs(max_length=8),
        ),
        outputs=("image_embeds", "text_embeds", "logits_per_image"),
    )
    data = msgspec.structs.replace(asked.data, interface=pairs)
    found = made_ready(msgspec.structs.replace(asked, data=data), DigestMemo())
    assert isinstance(found.request, EvaluateRequest)
    assert found.request.data.folder / "tokenizer.json" in found.files


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "", "."])
def test_a_tokenizer_elsewhere_is_not_sent(name: str, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="is not a plain one"):
        made_ready(_evaluate(tmp_path, name), DigestMemo())


def test_other_bytes_lie_elsewhere(tmp_path: Path) -> None:
    setup = _setup(tmp_path, "model.onnx")
    first = made_ready(_time(setup, tmp_path), DigestMemo()).request.setup.model
    setup.model.write_text("changed")
    assert made_ready(_time(setup, tmp_path), DigestMemo()).request.setup.model != first


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    request = _time(_setup(tmp_path, "model.onnx"), tmp_path)
    request.setup.model.unlink()
    with pytest.raises(StorageError, match="reading"):
        made_ready(request, DigestMemo())


def test_a_language_model_brings_the_graph_that_its_settings_name(tmp_path: Path) -> None:
    setup = setup_for(TinyDecoder().save(tmp_path / "model"))
    for name in ("model.onnx.data", "tokenizer.json", "other.onnx"):
        (tmp_path / "model" / name).write_text(name)
    for name in ("p", "e", "d", "c", "t"):
        (tmp_path / name).write_text(name)
    answers = AnswerRequest(
        setup=setup, prompts=tmp_path / "p", expected=tmp_path / "e", context=9, tokens=2,
        requests=1, min_s=0, seed=0,
    )  # fmt: skip
    own = {"genai_config.json", "model.onnx", "model.onnx.data"}
    found = made_ready(answers, DigestMemo())
    assert {path.name for path in found.files} == own | {"p", "e"}
    there = found.request.setup.model
    assert there.with_name("model.onnx") in found.files
    scores = ScoreRequest(
        setup=setup, documents=tmp_path / "d", asked=tmp_path / "p", chosen=tmp_path / "c",
        timed=tmp_path / "t", context=9, tokens=2, fill=True, result=tmp_path / "r",
    )  # fmt: skip
    (tmp_path / "q").write_text("q")
    asking = msgspec.structs.replace(scores, choices=tmp_path / "q")
    assert {p.name for p in made_ready(asking, DigestMemo()).files} == own | set("dpctq")
    setting = SettingRequest(
        setup=setup, prompts=tmp_path / "p", context=9, tokens=2, batch=2, requests=1, seconds=1.0
    )
    assert {p.name for p in made_ready(setting, DigestMemo()).files} == own | {"p"}
    ready = made_ready(scores, DigestMemo())
    assert {path.name for path in ready.files} == own | {"d", "p", "c", "t"}
    assert decode_request(bytes(ready.ask(Limits()).request)) == ready.request
    assert str(tmp_path) not in repr(ready.ask(Limits()))
    (tmp_path / "model" / "manifest.json").write_text("{}")
    with pytest.raises(RefusedInputError):
        made_ready(answers, DigestMemo())


def test_a_pipeline_brings_its_graphs(tmp_path: Path) -> None:
    graphs = ("text_encoder.onnx", "unet.onnx", "unet.onnx.data", "vae_decoder.onnx")
    setup = _setup(tmp_path, "drawing.json", *graphs, "other.onnx")
    found = made_ready(_time(setup, tmp_path), DigestMemo())
    assert {path.name for path in found.files} == {"drawing.json", *graphs, "feeds-0.npz"}
    assert len({path.parent for path in found.files if path.name != "feeds-0.npz"}) == 1
