"""What a pipeline's folder says of itself, and what is refused of it."""

import json
from pathlib import Path

import pytest

from deployopt.core.artifact import Precision
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import DrawingInputs
from deployopt.sources.diffusion import complete_pipeline, noise_schedule, read_pipeline
from deployopt.sources.tokenizer_files import open_tokenizer, tried_before
from deployopt.sources.tokenizer_making import make_tokenizer
from tests.fakes.clip_words import END
from tests.fakes.pipeline_folder import SCHEDULER, Config, write_folder

pytest.importorskip("safetensors")


def read(folder: Path, **changed: Config) -> DrawingInputs:
    write_folder(folder, **changed)
    # As `complete_pipeline` does it, without a confined process for each.
    made = make_tokenizer(folder / "tokenizer", "merges.txt", {})
    (folder / "tokenizer" / "tokenizer.json").write_text(made)
    inputs = read_pipeline(folder, tried_before).interface.inputs
    assert isinstance(inputs, DrawingInputs)
    return inputs


def test_a_whole_folder(tmp_path: Path) -> None:
    write_folder(tmp_path)
    complete_pipeline(tmp_path)
    facts = read_pipeline(tmp_path)
    inputs = facts.interface.inputs
    assert facts.interface.draws
    assert facts.interface.outputs == ("image",)
    assert facts.precision is Precision.FP32
    assert isinstance(inputs, DrawingInputs)
    assert (inputs.length, inputs.channels, inputs.height, inputs.width) == (16, 4, 16, 16)
    assert (inputs.pixels, inputs.scaling) == (2, 0.18215)
    assert (inputs.steps, inputs.guidance) == (20, 7.5)
    # The tokenizer's own padding, which is not what the text encoder's config says.
    assert inputs.pad_id == 517
    assert inputs.schedule.betas == "scaled_linear"
    assert not inputs.schedule.ends_clean
    assert any("safety checker" in note for note in facts.notes)
    assert any("PNDMScheduler" in note for note in facts.notes)


def test_nothing_is_noted_where_nothing_is_left_out(tmp_path: Path) -> None:
    nothing: Config = {"safety_checker": [None, None]}
    write_folder(tmp_path, index=nothing, scheduler={"_class_name": "DDIMScheduler"})
    complete_pipeline(tmp_path)
    assert read_pipeline(tmp_path).notes == ()


def test_an_image_may_be_wider_than_high(tmp_path: Path) -> None:
    inputs = read(tmp_path, unet={"sample_size": [8, 12]}, vae={"scaling_factor": 0.3})
    assert (inputs.height, inputs.width, inputs.scaling) == (8, 12, 0.3)


@pytest.mark.parametrize(
    ("part", "changed", "said"),
    [
        (
            "index",
            {"_class_name": "StableDiffusionXLPipeline"},
            "StableDiffusionXLPipeline.*builds",
        ),
        ("index", {"_class_name": ["pipeline", "Mine"]}, "Mine"),
        ("index", {"_class_name": None}, "names no class"),
        ("index", {"unet": ["diffusers", "UNet3DConditionModel"]}, "UNet3DConditionModel.* unet"),
        ("index", {"text_encoder": None}, "names None as its text_encoder"),
        ("unet", {"in_channels": 9}, "fills in or varies"),
        ("unet", {"cross_attention_dim": 64}, "not of one pipeline"),
        ("unet", {"addition_embed_type": "text_time"}, "addition_embed_type"),
        ("unet", {"class_embed_type": "timestep"}, "class_embed_type"),
        ("unet", {"sample_size": 15}, "multiples of 2"),
        ("unet", {"sample_size": 1024}, "up to 512"),
        ("unet", {"sample_size": None}, "sample_size is None"),
        ("unet", {"sample_size": [16, 16, 16]}, "sample_size"),
        ("unet", {"block_out_channels": []}, "block_out_channels"),
        ("vae", {"shift_factor": 0.1}, "shift_factor"),
        ("vae", {"latent_channels": True}, "latent_channels is True"),
        ("vae", {"out_channels": 1}, "out_channels is not 3"),
        ("vae", {"scaling_factor": 0}, "scaling_factor is 0"),
        ("vae", {"scaling_factor": 1e6}, "scaling_factor"),
        ("text_encoder", {"use_attention_mask": True}, "use_attention_mask"),
        ("text_encoder", {"max_position_embeddings": 0}, "max_position_embeddings is 0"),
        ("text_encoder", {"vocab_size": 100}, "of another model"),
        ("scheduler", {"_class_name": "FlowMatchEulerDiscreteScheduler"}, "schedulers whose noise"),
        ("scheduler", {"trained_betas": [0.1, 0.2]}, "trained_betas"),
        ("scheduler", {"beta_schedule": "squaredcos_cap_v2"}, "squaredcos_cap_v2"),
        ("scheduler", {"prediction_type": "sample"}, "prediction"),
        ("scheduler", {"num_train_timesteps": 0}, "train_steps"),
        ("scheduler", {"num_train_timesteps": 19}, "is 19, and images are judged as drawn in 20"),
        ("scheduler", {"beta_end": "much"}, "beta_end"),
        ("scheduler", {"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr"),
    ],
)
def test_what_is_refused(tmp_path: Path, part: str, changed: Config, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(tmp_path, **{part: changed})


def test_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedInputError, match="trust_remote_code"):
        read(tmp_path, unet={"trust_remote_code": True})


def test_quantized_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedInputError, match="quantized already"):
        read(tmp_path, unet={"quantization_config": {"bits": 4}})


def test_the_schedule_is_what_diffusers_would_take() -> None:
    plain = noise_schedule({"_class_name": "DDIMScheduler"}, "it")
    assert (plain.train_steps, plain.beta_start, plain.beta_end) == (1000, 0.0001, 0.02)
    assert (plain.betas, plain.prediction, plain.spacing) == ("linear", "epsilon", "leading")
    assert plain.ends_clean
    # The pipeline sets the offset to 1, whatever the file says.
    assert noise_schedule({**SCHEDULER, "steps_offset": 0}, "it").offset == 1
    velocity = {**SCHEDULER, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
    assert noise_schedule(velocity, "it").prediction == "v_prediction"


@pytest.mark.parametrize(
    ("options", "beside", "pad"),
    [
        # As Stable Diffusion 2 has it: its map says another token than its options.
        ({"pad_token": END}, "!", 0),
        ({"pad_token": END, "added_tokens_decoder": {}}, "!", 517),
        ({"pad_token": "!"}, None, 0),
        ({}, None, 517),
    ],
)
def test_prompts_are_padded_as_transformers_would(
    tmp_path: Path, options: Config, beside: str | None, pad: int
) -> None:
    write_folder(tmp_path)
    (tmp_path / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(options))
    if beside is not None:
        path = tmp_path / "tokenizer" / "special_tokens_map.json"
        path.write_text(json.dumps({"pad_token": {"content": beside, "special": True}}))
    complete_pipeline(tmp_path)
    inputs = read_pipeline(tmp_path, tried_before).interface.inputs
    assert isinstance(inputs, DrawingInputs)
    assert inputs.pad_id == pad
    # A special token is itself wherever it stands, not the end of a word.
    words = open_tokenizer(tmp_path / "tokenizer.json")
    assert words.encode("a cat!").ids[3] == (0 if pad == 0 else 256)


def test_a_padding_token_that_is_no_word_is_told(tmp_path: Path) -> None:
    write_folder(tmp_path)
    options = {"pad_token": "[NONE]"}
    (tmp_path / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(options))
    complete_pipeline(tmp_path)
    with pytest.raises(UsageError, match=r"'\[NONE\]' is none of the words"):
        read_pipeline(tmp_path, tried_before)
