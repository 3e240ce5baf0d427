"""Models that draw, end to end: a tiny Stable Diffusion with random weights."""

import traceback
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

pytest.importorskip("diffusers")
from deployopt.core.drawing import GRAPHS, PARTS, UNET
from deployopt.core.errors import StepError
from deployopt.core.interface import DrawingInputs
from deployopt.core.noise_schedule import NoiseSchedule
from deployopt.core.samples import Array
from deployopt.core.worked import Worked
from deployopt.core.workload import Workload
from deployopt.device.drawing.noise import normal_noise
from deployopt.device.drawing.schedule import course_of, one_step
from deployopt.device.inputs import feeds
from deployopt.device.run import Predictor
from deployopt.graph.attaching import attach_weights
from deployopt.modeling.drawing.exporting import PipelineExport, export_pipeline
from deployopt.modeling.drawing.loading import load_networks
from deployopt.modeling.drawing.reference import ddim, draw_reference
from deployopt.pipeline.drawing import pipeline_shape
from deployopt.sources.diffusion import complete_pipeline, read_pipeline
from deployopt.store.verifying import verify_bundle
from tests.fakes.drawing import PROMPTS, write_pipeline, write_prompts
from tests.fakes.drawing_graphs import INPUTS
from tests.fakes.models import write_target
from tests.functional.conftest import Done, Invoke, check_schema

pytestmark = [pytest.mark.torch, pytest.mark.slow]
BUDGETS = """latency_p50 = "60 s"
accuracy_drop = "20 pt"
memory_peak = "2 GiB"
artifact_size = "10 MiB"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, prompts, a target."""
    folder = tmp_path_factory.mktemp("drawing")
    write_pipeline(folder / "model")
    write_prompts(folder / "prompts.txt")
    write_target(folder / "here.toml", budgets=BUDGETS)
    return folder


@pytest.fixture(scope="module")
def drawing_build(invoke: Invoke, place: Path) -> Done:
    return invoke(
        "build", "-t", place / "here.toml", "-m", place / "model", "-d", place / "prompts.txt",
        "-o", place / "out", "--store", place / "store", "--json",
    )  # fmt: skip


@pytest.fixture(scope="module")
def bundle(drawing_build: Done) -> Path:
    return Path(drawing_build.json["bundle"])


def test_images_are_judged_beside_the_references(drawing_build: Done, bundle: Path) -> None:
    found = drawing_build.json
    check_schema("build-result", found)
    checks = {check["metric"]: check for check in found["verdict"]["checks"]}
    assert checks["accuracy_drop"]["outcome"] == "accepted", drawing_build.err
    trial = found["gate"]["trial"]
    assert trial["examples"] >= 25
    assert trial["lost"] == 0
    # Three graphs and a loop in numpy draw what torch and diffusers draw.
    assert trial["drift"]["worst"] < 1e-3
    assert set(trial["drift"]["parts_s"]) == set(GRAPHS)
    assert {one["recipe"]: one["precision"] for one in found["candidates"]} == {
        "float": "fp32", "int8": "mixed"
    }  # fmt: skip
    said = " ".join(found["warnings"])
    assert "safety checker" in said
    assert "unet.onnx" in said
    manifest = verify_bundle(bundle)
    assert manifest.interface.draws
    assert manifest.opset == 17
    assert manifest.runtime == "onnxruntime"
    assert manifest.deployed == (
        "model/drawing.json", *(f"model/{name}" for name in GRAPHS), "tokenizer.json"
    )  # fmt: skip


def test_int8_draws_other_images_and_says_how_far(drawing_build: Done) -> None:
    int8 = next(one for one in drawing_build.json["candidates"] if one["recipe"] == "int8")
    drift = int8["accuracy"]["trial"]["drift"]
    assert 1e-5 < drift["median"] <= drift["worst"]


def test_run_draws_what_diffusers_own_pipeline_draws(
    invoke: Invoke, bundle: Path, place: Path, tmp_path: Path
) -> None:
    image = pytest.importorskip("PIL.Image")
    output = tmp_path / "out.png"
    done = invoke("run", bundle, PROMPTS[0], "-o", output, "--seed", "5", "--json")
    check_schema("draw-result", done.json)
    assert done.json["judged"] is True
    with image.open(output) as opened:
        ours = np.asarray(opened.convert("RGB"))
    wanted = drawn_by_diffusers(place / "model", PROMPTS[0], seed=5)
    assert ours.shape == wanted.shape == (16, 16, 3)
    assert ours.std() > 10
    assert np.abs(ours.astype(int) - wanted.astype(int)).max() <= 1
    other = invoke("run", bundle, PROMPTS[0], "-o", tmp_path / "b.png", "--seed", "6")
    assert "seed 6" in other.out
    assert (tmp_path / "b.png").read_bytes() != output.read_bytes()


def drawn_by_diffusers(folder: Path, prompt: str, seed: int) -> Any:
    """By the whole pipeline, with the same noise; nothing of deployopt's is in it."""
    import diffusers
    import torch
    from transformers import CLIPTextModel, CLIPTokenizer

    scheduler = diffusers.PNDMScheduler.from_pretrained(folder / "scheduler")
    pipeline = diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL.from_pretrained(folder / "vae"),
        text_encoder=CLIPTextModel.from_pretrained(folder / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        unet=diffusers.UNet2DConditionModel.from_pretrained(folder / "unet"),
        scheduler=diffusers.DDIMScheduler.from_config(scheduler.config),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    found = pipeline(
        prompt, latents=torch.from_numpy(normal_noise(seed, (1, 4, 8, 8))),
        num_inference_steps=20, guidance_scale=7.5, output_type="np",
    ).images[0]  # fmt: skip
    return np.round(found * 255).astype(np.uint8)


def test_verify_draws_the_stored_prompts_again(
    invoke: Invoke, bundle: Path, drawing_build: Done
) -> None:
    done = invoke("verify", bundle, "--proxy", "--json")
    check_schema("verify-result", done.json)
    again = done.json["accuracy"]["trial"]
    assert again["examples"] == drawing_build.json["gate"]["trial"]["examples"]
    assert again["lost"] == 0
    assert any("Images differ" in one for one in done.json["warnings"])


def test_a_changed_graph_is_found(invoke: Invoke, bundle: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    path = copy / "model" / UNET
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    done = invoke("run", copy, "a cat", "-o", tmp_path / "out.png")
    assert done.code == 4
    assert not (tmp_path / "out.png").exists()


def test_what_a_bundle_that_draws_is_not_for(invoke: Invoke, bundle: Path, tmp_path: Path) -> None:
    for form in ("docker", "triton"):
        done = invoke("export", bundle, tmp_path / "served", "--as", form)
        assert (done.code, "draws images with three graphs" in done.paragraph) == (2, True)
    assert "Say where the image goes" in invoke("run", bundle, "a cat").paragraph
    predictor = Predictor.open(bundle)
    from deployopt.core.errors import UsageError

    with pytest.raises(UsageError, match="use draw"):
        predictor.predict(["a cat"])


def test_plan_and_fit_know_the_folder(invoke: Invoke, place: Path) -> None:
    plan = invoke("plan", "-t", place / "here.toml", "-m", place / "model", "--json").json["plan"]
    assert {one["recipe"] for one in plan["forecasts"]} == {"float", "int8"}
    done = invoke("plan", "-t", "rtx3060", "-m", place / "model", "--json")
    card = done.json
    check_schema("plan-result", card)
    assert {one["recipe"] for one in card["plan"]["forecasts"]} == {"float", "fp16"}
    assert any("gets graphs for ONNX Runtime on CUDA" in one for one in card["warnings"])
    with_data = invoke(
        "plan", "-t", "rtx3060", "-m", place / "model", "-d", place / "prompts.txt",
        "--store", place / "store", "--json",
    ).json  # fmt: skip
    assert {one["recipe"] for one in with_data["plan"]["forecasts"]} == {"float", "fp16"}
    refused = invoke(
        "build", "-t", "rtx3060", "-m", place / "model", "-d", place / "prompts.txt",
        "-o", place / "engine", "--store", place / "store", "--runtime", "tensorrt-rtx",
    )  # fmt: skip
    assert (refused.code, "draws with three" in refused.paragraph) == (2, True)


def test_parameters_are_those_of_the_networks(place: Path) -> None:
    networks = load_networks(place / "model")
    counted = sum(
        parameter.numel()
        for part in (networks.text_encoder, networks.unet, networks.vae)
        for parameter in part.parameters()
    )
    assert pipeline_shape(place / "model").parameters == counted


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(("betas", "clean"), [("scaled_linear", False), ("linear", True)])
def test_every_step_is_that_of_diffusers(
    spacing: Any, prediction: Any, betas: Any, *, clean: bool
) -> None:
    import torch

    schedule: NoiseSchedule = msgspec.structs.replace(
        INPUTS.schedule, spacing=spacing, prediction=prediction, betas=betas, ends_clean=clean
    )
    scheduler = ddim(msgspec.structs.replace(INPUTS, schedule=schedule))
    lot = np.random.default_rng(0)
    for steps in (1, 7, 20, 50):
        scheduler.set_timesteps(steps)
        course = course_of(schedule, steps)
        assert list(course.timesteps) == scheduler.timesteps.tolist()
        sample = lot.standard_normal((1, 4, 8, 8)).astype(np.float32)
        for timestep in course.timesteps:
            answer = lot.standard_normal(sample.shape).astype(np.float32)
            theirs = scheduler.step(
                torch.from_numpy(answer), timestep, torch.from_numpy(sample), eta=0.0
            ).prev_sample.numpy()
            ours = one_step(course, timestep, sample, answer)
            scale = max(1.0, float(np.abs(theirs).max()))
            assert float(np.abs(ours - theirs).max()) < 2e-5 * scale
            sample = theirs


@pytest.fixture(scope="module")
def complete(place: Path) -> tuple[Path, DrawingInputs]:
    """The folder as the store has it."""
    import shutil

    folder = place / "complete"
    shutil.copytree(place / "model", folder)
    complete_pipeline(folder)
    inputs = read_pipeline(folder).interface.inputs
    assert isinstance(inputs, DrawingInputs)
    return folder, inputs


def export(folder: Path, inputs: DrawingInputs, out: Path, attach: Any) -> dict[str, float]:
    interface = read_pipeline(folder).interface
    samples = list(feeds(interface, folder, list(PROMPTS[:2]), Workload()))
    out.mkdir()
    options = PipelineExport(
        opset=17, exporter="torchscript", threads=2, parts=PARTS, attach=attach
    )
    return export_pipeline(folder, inputs, out, options, samples)


def test_a_graph_that_says_something_else_is_found(
    complete: tuple[Path, DrawingInputs], tmp_path: Path
) -> None:
    folder, inputs = complete
    differences = export(folder, inputs, tmp_path / "right", attach_weights)
    assert set(differences) == set(GRAPHS)
    assert max(differences.values()) < 1e-4

    def wrong(traced: Path, weights: Any, destination: Path) -> None:
        if destination.name == UNET:
            name = next(one for one in weights if weights[one].ndim == 4)
            weights = {**weights, name: weights[name] * np.float32(1.01)}
        attach_weights(traced, weights, destination)

    with pytest.raises(StepError, match=r"unet\.onnx differs from the model"):
        export(folder, inputs, tmp_path / "wrong", wrong)


def test_weights_that_are_missing_are_no_random_ones(
    complete: tuple[Path, DrawingInputs], tmp_path: Path
) -> None:
    import shutil

    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(complete[0], folder)
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    del weights["conv_out.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(StepError, match=r"lack conv_out\.weight"):
        draw_reference(folder, complete[1], [], "image", threads=1, progress=lambda *_: None)


def test_a_card_draws_the_same_and_nothing_of_it_stays_behind(
    complete: tuple[Path, DrawingInputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch's `cpu` is in the card's place, then its `meta`, on which nothing has a value."""
    import torch

    from deployopt.modeling import reference_card

    folder, inputs = complete
    interface = read_pipeline(folder).interface
    prompts = list(feeds(interface, folder, list(PROMPTS[:1]), Workload()))

    def drawn(device: str | None, worked: Worked) -> Array:
        def card() -> Any:
            if device is None:
                return None
            found = reference_card.Card(torch.device(device))
            monkeypatch.setattr(type(found), "free_bytes", lambda _: 2**40)
            return found

        monkeypatch.setattr(reference_card, "first_card", card)
        given = (folder, inputs, prompts, "image")
        (found,) = draw_reference(*given, threads=2, progress=lambda *_: None, worked=worked)
        return found["image"]

    here, there = Worked(), Worked()
    assert np.allclose(drawn(None, here), drawn("cpu", there), atol=1e-5)
    assert (here.on_card, there.on_card) == (False, True)
    with pytest.raises(NotImplementedError) as raised:
        drawn("meta", Worked())
    first: BaseException = raised.value
    while first.__context__ is not None:
        first = first.__context__
    assert "Cannot copy out of meta tensor" in str(first)
    assert ".vae(latents)" in str(traceback.extract_tb(first.__traceback__)[-1].line)


def test_a_bundle_is_compared_with_itself(invoke: Invoke, bundle: Path) -> None:
    done = invoke("compare", bundle, bundle, "--proxy", "--time-limit", "20s", "--json")
    check_schema("compare-result", done.json)
    aspects = {one["aspect"]: one for one in done.json["comparison"]["differences"]}
    assert aspects["accuracy"]["outcome"] == "same", done.err
    assert aspects["operators"]["outcome"] == "same"
