"""A model repository answers as the bundle does."""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest

from deployopt.core.artifact import Precision, SessionOptions
from deployopt.core.engine import InputRange
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.exporting import ExportRequest, ExportResult
from deployopt.core.quiet import imported_quietly
from deployopt.core.verdict import Outcome
from deployopt.core.workload import Workload
from deployopt.device.run import Predictor
from deployopt.device.session import Session, open_session
from deployopt.device.setup import Setup
from deployopt.pipeline.exporting.run import run_export
from deployopt.pipeline.exporting.served import Served, open_served
from deployopt.pipeline.exporting.triton import _name_of
from deployopt.signing.keys import new_pair
from tests.fakes.served import (
    ASSETS,
    IMAGE,
    PLAIN,
    SPEAKS,
    check,
    load_model,
    read_config,
    served_bundle,
    target_of,
    verdict_of,
)

GIVEN = ["a good film", "dull and boring", "the warm it " * 30]


def export(bundle: Path, out: Path, **asked: Any) -> ExportResult:
    wanted = {"form": "triton", "store": out.parent / "store"} | asked
    return run_export(ExportRequest(source=str(bundle), output=out, **wanted))  # type: ignore[arg-type]


def configs(out: Path) -> dict[str, Any]:
    return {
        path.parent.name: read_config(path.read_text("utf-8")) for path in out.glob("*/*.pbtxt")
    }


def session(folder: Path, config: Any) -> onnxruntime.InferenceSession:
    """The model opened as onnxruntime_backend reads the parameters."""
    told = {key: value.string_value for key, value in config.parameters.items()}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(told.pop("intra_op_thread_count"))
    options.inter_op_num_threads = int(told.pop("inter_op_thread_count"))
    options.execution_mode = onnxruntime.ExecutionMode(int(told.pop("execution_mode")))
    assert config.optimization.graph.level == 0
    for key, value in told.items():
        options.add_session_config_entry(key, value)
    assert [group.kind for group in config.instance_group] == [2]
    return onnxruntime.InferenceSession(
        folder / "1" / config.default_model_filename, options, providers=["CPUExecutionProvider"]
    )


def openvino_session(folder: Path, config: Any) -> Session:
    """The same of openvino_backend."""
    told = {key: value.string_value for key, value in config.parameters.items()}
    assert (told["PERFORMANCE_HINT"], told["NUM_STREAMS"]) == ("LATENCY", "1")
    model = folder / "1" / config.default_model_filename
    threads = int(told["INFERENCE_NUM_THREADS"])
    return open_session(Setup(artifact="a", model=model, threads=threads, runtime="openvino"))


def ask(out: Path, name: str, taken: str, value: Any) -> dict[str, Any]:
    """Go the ensemble's steps by its maps, as Triton does, and hold shapes against each config."""
    known, held = configs(out), {taken: value}
    ensemble = known[f"{name}_ensemble"]
    for step in ensemble.ensemble_scheduling.step:
        config, folder = known[step.model_name], out / step.model_name
        given = {key: held[own] for key, own in step.input_map.items()}
        for told in config.input:
            fits(config, told, given[told.name])
        if config.backend == "python":
            (response,) = load_model(folder / "1").execute([given])
            if response.error is not None:
                raise response.error
            answered = response.arrays
        else:
            names = [told.name for told in config.output]
            opened = session if config.backend == "onnxruntime" else openvino_session
            answered = dict(zip(names, opened(folder, config).run(names, given), strict=True))
        for told in config.output:
            fits(config, told, answered[told.name])
        held |= {own: answered[key] for key, own in step.output_map.items()}
    return {told.name: held[told.name] for told in ensemble.output}


def fits(config: Any, told: Any, array: Any) -> None:
    """Triton refuses arrays of another type or shape than the config's."""
    kinds = {"b": 2, "u1": 2, "i8": 9, "f4": 11, "f8": 12, "O": 13}
    code = "O" if array.dtype.kind in "OS" else array.dtype.str[1:]
    assert told.data_type == kinds.get(code), (told.name, array.dtype)
    dims = ([-1] if config.max_batch_size else []) + list(told.dims)
    assert len(dims) == array.ndim, (told.name, dims, array.shape)
    assert all(want in {-1, have} for want, have in zip(dims, array.shape, strict=True))
    assert not config.max_batch_size or array.shape[0] <= config.max_batch_size


@pytest.mark.parametrize("length", ["real", 12])
def test_texts_are_answered_as_the_bundle_answers_them(tmp_path: Path, length: Any) -> None:
    bundle = served_bundle(tmp_path, target=target_of(Workload(length=length), threads=2))
    result = export(bundle, tmp_path / "out")
    for given, wanted in zip(GIVEN, Predictor.open(bundle).predict(GIVEN), strict=True):
        texts = np.array([[given.encode()]], dtype=np.object_)
        found = ask(tmp_path / "out", "sample", "TEXT", texts)
        assert found["LABEL"].tolist() == [[str(wanted.label).encode()]]
        assert found["PROBABILITIES"].tolist() == [list(wanted.scores.values())]
    assert (result.settings["max_batch_size"], result.settings["intra_op_thread_count"]) == (1, "2")
    assert "accepted on here" in result.model
    assert json.loads((tmp_path / "out/sample_text/1/settings.json").read_text()) == {
        "input_names": ["input_ids", "attention_mask"],
        "max_length": 32,
        "pad_id": 7,
        "fixed": None if length == "real" else length,
    }
    assert (tmp_path / "out/sample/labels.txt").read_text() == "bad\ngood\n"


def test_images_are_answered_as_the_bundle_answers_them(tmp_path: Path) -> None:
    bundle = served_bundle(tmp_path, IMAGE, target=target_of(Workload(batch=2)))
    export(bundle, tmp_path / "out")
    images = np.random.default_rng(1).integers(0, 256, (2, 40, 23, 3), dtype=np.uint8)
    found = ask(tmp_path / "out", "sample", "IMAGE", images)
    wanted = Predictor.open(bundle).predict(list(images))
    assert found["LABEL"].ravel().tolist() == [str(one.label).encode() for one in wanted]
    shares = [list(one.scores.values()) for one in wanted]
    assert np.allclose(found["PROBABILITIES"], shares, atol=1e-6)


def test_labels_scored_by_themselves_are_answered_so(tmp_path: Path) -> None:
    apart = msgspec.structs.replace(IMAGE, apart=True)
    graph = {"model/model.onnx": (ASSETS / "image.onnx").read_bytes()}
    bundle = served_bundle(tmp_path, apart, model=graph)
    export(bundle, tmp_path / "out")
    images = np.random.default_rng(1).integers(0, 256, (1, 40, 23, 3), dtype=np.uint8)
    found = ask(tmp_path / "out", "sample", "IMAGE", images)
    (wanted,) = Predictor.open(bundle).predict(list(images))
    assert np.allclose(found["PROBABILITIES"], [list(wanted.scores.values())], atol=1e-6)
    assert sum(wanted.scores.values()) != pytest.approx(1.0)


@pytest.mark.openvino
def test_an_openvino_bundle_is_answered_so_too(tmp_path: Path) -> None:
    with imported_quietly():
        import openvino
    source = tmp_path / "made"
    model = openvino.convert_model(ASSETS / "text.onnx")
    openvino.save_model(model, source / "model.xml", compress_to_fp16=False)
    files = {f"model/{path.name}": path.read_bytes() for path in sorted(source.iterdir())}
    target = target_of(Workload(batch=2), threads=2)
    bundle = served_bundle(tmp_path, target=target, model=files, runtime="openvino")
    result = export(bundle, tmp_path / "out")
    texts = np.array([b"a good film", b"dull"], dtype=np.object_)
    found = ask(tmp_path / "out", "sample", "TEXT", texts)
    wanted = Predictor.open(bundle).predict(["a good film", "dull"])
    assert found["LABEL"].ravel().tolist() == [str(one.label).encode() for one in wanted]
    shares = [list(one.scores.values()) for one in wanted]
    assert np.allclose(found["PROBABILITIES"], shares, atol=1e-6)
    assert "bfloat16" in result.warnings[0]


def test_a_plain_graph_is_the_model_alone(tmp_path: Path) -> None:
    bundle = served_bundle(tmp_path, PLAIN)
    result = export(bundle, tmp_path / "out", name="other.name_1-x")
    (name,) = configs(tmp_path / "out")
    assert name == "other.name_1-x"
    config = configs(tmp_path / "out")[name]
    array = np.ones((1, 2), dtype=np.float32)
    (found,) = session(tmp_path / "out" / name, config).run(["y"], {"x": array})
    (wanted,) = Predictor.open(bundle).predict([array])
    assert wanted.outputs == {"y": found.tolist()}
    assert result.todo == ()


def test_a_wrong_request_does_not_harm_the_others(tmp_path: Path) -> None:
    export(served_bundle(tmp_path), tmp_path / "out")
    text = load_model(tmp_path / "out/sample_text/1")
    good, bad = ({"TEXT": np.array([[v]], dtype=np.object_)} for v in (b"good", b"\xff"))
    first, second, third = text.execute([good, bad, good])
    assert "not UTF-8" in str(second.error)
    assert first.error is third.error is None
    labels = load_model(tmp_path / "out/sample_labels/1")
    (broken,) = labels.execute([{"LOGITS": np.array([[np.nan, 1]], dtype=np.float32)}])
    assert "not finite" in str(broken.error)


def test_every_file_is_listed_with_its_digest(tmp_path: Path) -> None:
    result = export(served_bundle(tmp_path), tmp_path / "out")
    out = tmp_path / "out"
    lines = [line.split("  ") for line in (out / "SHA256SUMS").read_text().splitlines()]
    files = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    assert {name for _, name in lines} == files
    assert all(hashlib.sha256((out / n).read_bytes()).hexdigest() == d for d, n in lines)
    assert {entry.path for entry in result.files} == files | {"SHA256SUMS"}


@pytest.mark.parametrize("form", ["triton", "docker"])
def test_what_changes_after_it_was_checked_is_not_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    bundle = served_bundle(tmp_path)

    def checked_too_early(request: ExportRequest) -> Served:
        served = open_served(request)
        (bundle / "tokenizer.json").write_text("{}")
        return served

    monkeypatch.setattr(f"deployopt.pipeline.exporting.{form}.open_served", checked_too_early)
    with pytest.raises(IntegrityError, match=r"tokenizer\.json changed while it was copied"):
        export(bundle, tmp_path / "out", form=form)
    assert not (tmp_path / "out").exists()


def test_external_data_goes_along_and_the_entry_keeps_its_name(tmp_path: Path) -> None:
    data = (ASSETS / "text.onnx").read_bytes()
    model = {"model/decided.onnx": data, "model/decided.onnx.data": b"weights"}
    export(served_bundle(tmp_path, model=model), tmp_path / "out")
    assert configs(tmp_path / "out")["sample"].default_model_filename == "decided.onnx"
    assert (tmp_path / "out/sample/1/decided.onnx.data").read_bytes() == b"weights"


def test_what_cannot_be_told_is_said_and_tried(tmp_path: Path) -> None:
    options = SessionOptions(
        disabled_optimizers=("SkipLayerNormFusion",),
        config_entries={
            "session.set_denormal_as_zero": "1",
            "session.use_device_allocator_for_initializers": "1",
        },
    )
    result = export(served_bundle(tmp_path, session=options), tmp_path / "out")
    said = " ".join(result.warnings)
    assert "'SkipLayerNormFusion'" in said
    assert "'session.set_denormal_as_zero'" in said
    assert "4 of 4 examples of the gate have the same label" in said
    config = (tmp_path / "out/sample/config.pbtxt").read_text()
    assert "session.use_device_allocator_for_initializers" in config
    assert "# It was measured without" in config
    assert "examples of the gate" in (tmp_path / "out/README.md").read_text().replace("\n  ", " ")


def test_a_provisional_bundle_says_so_everywhere(tmp_path: Path) -> None:
    doubt = check("latency_p95", 0.06, 0.01, outcome=Outcome.UNDECIDED, predicted_inside=True)
    verdict = verdict_of(doubt, provisional=True)
    result = export(served_bundle(tmp_path, verdict=verdict), tmp_path / "out")
    assert "provisional" in result.warnings[0]
    assert "provisional" in result.model
    for name in ("sample/config.pbtxt", "sample_ensemble/config.pbtxt", "README.md"):
        assert "The bundle is provisional" in (tmp_path / "out" / name).read_text()


@pytest.mark.parametrize(
    ("outcome", "said"),
    [(Outcome.REJECTED, "It misses latency_p95"), (Outcome.UNDECIDED, "verify")],
)
def test_others_are_refused(tmp_path: Path, outcome: Outcome, said: str) -> None:
    verdict = verdict_of(check("latency_p95", 0.06, 0.09, outcome=outcome))
    bundle = served_bundle(tmp_path, verdict=verdict)
    for form in ("triton", "docker"):
        with pytest.raises(UsageError, match=f"is {outcome.value}, and only accepted.*{said}"):
            export(bundle, tmp_path / "out", form=form)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("bundle", "expected"),
    [
        ("/home/me/nets/two_in.onnx-rtx3060", "two_in.onnx-rtx3060"),
        ("./my net.onnx-t4", "my-net.onnx-t4"),
        ("hub:org/name@main-a100", "name-main-a100"),
        ("C:\\nets\\.hidden-l4", "hidden-l4"),
        ("x" * 70, "x" * 64),
        ("nets/é", "model"),
    ],
)
def test_a_bundle_of_a_file_has_a_name_without_its_folders(bundle: str, expected: str) -> None:
    assert _name_of(bundle) == expected


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".hidden", "a b", "é", "x" * 65, "a\n"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a model in Triton"):
        export(served_bundle(tmp_path), tmp_path / "out", name=name)
    assert not (tmp_path / "out").exists()


def test_wrong_sources(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="is no bundle"):
        export(tmp_path, out)
    with pytest.raises(UsageError, match=r"holds a language model.*--as vllm"):
        export(served_bundle(tmp_path, SPEAKS, name="speaks"), out)
    bundle = served_bundle(tmp_path)
    with pytest.raises(UsageError, match=r"--target is for language models"):
        export(bundle, out, target=target_of())
    with pytest.raises(UsageError, match="--wheel is for --as docker"):
        export(bundle, out, wheel=tmp_path / "w")
    with pytest.raises(UsageError, match="lies inside the bundle"):
        export(bundle, bundle / "new" / "out")
    with pytest.raises(IntegrityError, match=r"not signed, and --key"):
        _with_key(bundle, out, tmp_path)
    (bundle / "model/model.onnx").write_bytes(b"another")
    with pytest.raises(IntegrityError, match=r"model/model\.onnx"):
        export(bundle, out)
    out.mkdir()
    with pytest.raises(UsageError, match="there already"):
        export(bundle, out)


def _with_key(bundle: Path, out: Path, folder: Path) -> None:
    (folder / "k.pub").write_bytes(new_pair()[1])
    export(bundle, out, key=folder / "k.pub")


def test_tensorrt_is_told_the_shapes_that_were_judged_and_no_precision(tmp_path: Path) -> None:
    from deployopt.core.target import Gpu

    gpu = Gpu(model="A card", count=4, compute_capability="8.0")
    profile = (InputRange(name="x", least=(1, 4), usual=(1, 4), most=(8, 4)),)
    bundle = served_bundle(
        tmp_path,
        target=target_of(gpu=gpu, provider="tensorrt"),
        session=SessionOptions(profile=profile),
        name="shaped",
    )
    export(bundle, tmp_path / "out")
    config = configs(tmp_path / "out")["shaped"]
    first, _ = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert dict(first.parameters) == {
        "trt_profile_min_shapes": "x:1x4",
        "trt_profile_opt_shapes": "x:1x4",
        "trt_profile_max_shapes": "x:8x4",
    }
    assert [list(one.gpus) for one in config.instance_group] == [[0, 1, 2, 3]]
    assert "NVIDIA_TF32_OVERRIDE=0" in (tmp_path / "out" / "README.md").read_text()


def test_what_was_captured_is_launched_kernel_by_kernel_there_and_that_is_said(
    tmp_path: Path,
) -> None:
    from deployopt.core.target import Gpu

    gpu = Gpu(model="A card", count=1, compute_capability="8.0")
    card = target_of(gpu=gpu, provider="cuda")
    for name, session in (("whole", SessionOptions(capture=True)), ("bits", SessionOptions())):
        bundle = served_bundle(tmp_path, target=card, session=session, name=name)
        export(bundle, tmp_path / f"out-{name}")
        page = " ".join((tmp_path / f"out-{name}" / "README.md").read_text().split())
        assert ("as one CUDA graph each" in page) == (name == "whole")
        assert "enable_cuda_graph" not in str(configs(tmp_path / f"out-{name}")[name])


def test_a_plan_is_handed_over_as_its_graph_and_that_is_said(tmp_path: Path) -> None:
    from deployopt.core.target import Gpu

    gpu = Gpu(model="A card", count=1, compute_capability="8.0")
    profile = (InputRange(name="x", least=(1, 4), usual=(1, 4), most=(8, 4)),)
    bundle = served_bundle(
        tmp_path,
        target=target_of(gpu=gpu, provider="tensorrt-plan"),
        session=SessionOptions(profile=profile),
        runtime="tensorrt",
        name="planned",
    )
    export(bundle, tmp_path / "out")
    config = configs(tmp_path / "out")["planned"]
    assert (config.backend, config.platform) == ("onnxruntime", "")
    named = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert [one.name for one in named] == ["tensorrt", "cuda"]
    assert named[0].parameters["trt_profile_max_shapes"] == "x:8x4"
    page = " ".join((tmp_path / "out" / "README.md").read_text().split())
    assert "its times are not those of the measurement" in page
    assert "NVIDIA_TF32_OVERRIDE=0" in page


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP8])
def test_floats_that_only_tensorrt_itself_is_known_to_take_are_refused(
    tmp_path: Path, precision: Precision
) -> None:
    from deployopt.core.target import Gpu

    gpu = Gpu(model="A card", count=1, compute_capability="8.9")
    target = target_of(gpu=gpu, provider="tensorrt-plan")
    bundle = served_bundle(tmp_path, target=target, runtime="tensorrt", precision=precision)
    with pytest.raises(UsageError, match=f"A bundle in {precision} is for TensorRT itself"):
        export(bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("provider", ["cuda", "tensorrt-plan"])
def test_triton_is_told_where_tf32_is_on(tmp_path: Path, provider: str) -> None:
    from deployopt.core.target import Gpu

    gpu = Gpu(model="A card", count=1, compute_capability="8.0")
    bundle = served_bundle(
        tmp_path,
        target=target_of(gpu=gpu, provider=provider),
        session=SessionOptions(tf32=True),
        runtime="onnxruntime" if provider == "cuda" else "tensorrt",
        precision=Precision.TF32,
    )
    export(bundle, tmp_path / "out")
    (config,) = (one for one in configs(tmp_path / "out").values() if one.backend == "onnxruntime")
    named = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert dict(named[-1].parameters) == {"use_tf32": "1"}
    assert "NVIDIA_TF32_OVERRIDE" not in (tmp_path / "out" / "README.md").read_text()


def test_gpus_are_named_and_what_triton_cannot_open_is_refused(tmp_path: Path) -> None:
    from deployopt.core.target import Gpu

    gpu = Gpu(model="A card", count=2, compute_capability="8.0")
    for provider in ("cuda", "tensorrt"):
        bundle = served_bundle(
            tmp_path, target=target_of(gpu=gpu, provider=provider), name=provider
        )
        export(bundle, tmp_path / f"{provider}-out")
        config = configs(tmp_path / f"{provider}-out")[provider]
        assert [(g.kind, list(g.gpus), g.count) for g in config.instance_group] == [(1, [0, 1], 1)]
        named = config.optimization.execution_accelerators.gpu_execution_accelerator
        first = [] if provider == "cuda" else ["tensorrt"]
        assert [one.name for one in named] == [*first, "cuda"]
        assert dict(named[-1].parameters) == {"use_tf32": "0"}
        said = {key: one.string_value for key, one in config.parameters.items()}
        assert said["cudnn_conv_algo_search"] == said["arena_extend_strategy"] == "1"
        with pytest.raises(UsageError, match="one for CPUs"):
            export(bundle, tmp_path / "docker", form="docker")
    bundle = served_bundle(tmp_path, target=target_of(gpu=gpu, provider="tensorrt-rtx"), name="rtx")
    with pytest.raises(UsageError, match="no backend in Triton"):
        export(bundle, tmp_path / "rtx-out")
