"""Which files of a pipeline's folder are taken."""

from pathlib import Path

import pytest

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.sources.diffusion_files import is_pipeline, list_pipeline, pipeline_files, size_limit
from tests.fakes.pipeline_folder import write_folder

NAMES = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
)
MORE = (
    "README.md", "safety_checker/pytorch_model.bin", "unet/diffusion_pytorch_model.bin",
    "unet/diffusion_pytorch_model.fp16.safetensors", "pipeline.py", "v1-5-pruned.ckpt",
)  # fmt: skip


def test_only_what_is_needed_is_taken() -> None:
    assert pipeline_files((*NAMES, *MORE), "it") == NAMES
    assert is_pipeline(NAMES)
    assert not is_pipeline(("config.json", "model.safetensors"))


@pytest.mark.parametrize("name", ["unet/config.json", "scheduler/scheduler_config.json",
    "vae/diffusion_pytorch_model.safetensors"])  # fmt: skip
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} missing"):
        pipeline_files([one for one in NAMES if one != name], "it")


def test_pickles_are_refused() -> None:
    names = [one for one in NAMES if not one.startswith("unet/diff")]
    with pytest.raises(RefusedInputError, match="pickle, which can run"):
        pipeline_files([*names, *MORE], "it")


def test_a_local_folder(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "unet" / "custom.py").write_text("raise SystemExit")
    assert list_pipeline(tmp_path) == NAMES


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    secret = tmp_path / "secret.json"
    (folder / "unet" / "config.json").rename(secret)
    (folder / "unet" / "config.json").symlink_to(secret)
    with pytest.raises(RefusedInputError, match="outside its folder"):
        list_pipeline(folder)


def test_a_config_that_is_too_large_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / "vae" / "config.json").write_bytes(b" " * (16 * 2**20 + 1))
    with pytest.raises(RefusedInputError, match="more than"):
        list_pipeline(folder)


def test_weights_have_no_limit() -> None:
    assert size_limit("unet/diffusion_pytorch_model.safetensors") is None
    assert size_limit("tokenizer/vocab.json") == 64 * 2**20
    assert size_limit("vae/config.json") == 16 * 2**20
