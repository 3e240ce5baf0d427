"""A pipeline's folder in the store, and prompts to judge it with."""

from pathlib import Path

import pytest

from deployopt.core.artifact import Format
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.examples import decode_examples
from deployopt.core.measurement import Split
from deployopt.sources.data import load_dataset
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.drawing import PROMPTS, write_prompts
from tests.fakes.pipeline_folder import write_folder


def test_a_folder_becomes_files_in_the_store(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    (folder / "unet" / "custom.py").write_text("raise SystemExit")
    with Store(tmp_path / "store") as store:
        source = resolve_model(str(folder), store=store)
        again = resolve_model(str(folder), store=store)
    assert source.artifact.format is Format.DIFFUSERS
    assert source.artifact == again.artifact
    assert source.interface.draws
    names = {path.relative_to(source.artifact.folder).as_posix()
        for path in source.artifact.folder.rglob("*") if path.is_file()}  # fmt: skip
    assert {"tokenizer.json", "unet/config.json", "model_index.json"} <= names
    assert "unet/custom.py" not in names
    # The files of the origin are those that came, not what was made of them.
    assert "tokenizer.json" not in {entry.path for entry in source.origin.files}


def test_weights_that_are_pickles_under_another_name(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"\x80\x02" + bytes(50))
    with (
        Store(tmp_path / "store") as store,
        pytest.raises(RefusedInputError, match="pickle or an archive"),
    ):
        resolve_model(str(folder), store=store)


def test_another_pipeline_is_told_by_its_class(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with (
        Store(tmp_path / "store") as store,
        pytest.raises(UsageError, match=r"FluxPipeline.*builds StableDiffusionPipeline"),
    ):
        resolve_model(str(folder), store=store)


def test_an_alias_of_the_catalogue_names_its_repository(tmp_path: Path) -> None:
    with (
        Store(tmp_path / "store") as store,
        pytest.raises(UsageError, match="hub:stable-diffusion-v1-5/stable-diffusion-v1-5"),
    ):
        resolve_model("sd-1.5", store=store)


def test_prompts_are_split(tmp_path: Path) -> None:
    folder, prompts = write_folder(tmp_path / "model"), write_prompts(tmp_path / "prompts.txt")
    with Store(tmp_path / "store") as store:
        model = resolve_model(str(folder), store=store)
        dataset = load_dataset(str(prompts), model=model, store=store)
        found = [
            decode_examples(dataset.splits[split].path).inputs
            for split in (Split.CALIBRATION, Split.SEARCH, Split.GATE)
        ]
    assert not dataset.labelled
    assert sorted(str(one) for part in found for one in part) == sorted(PROMPTS)
    assert any("same noise" in note for note in dataset.notes)


def test_prompts_of_a_table(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    table = tmp_path / "captions.csv"
    table.write_text("image,text\n" + "".join(f"x.png,{one}\n" for one in PROMPTS))
    with Store(tmp_path / "store") as store:
        model = resolve_model(str(folder), store=store)
        dataset = load_dataset(str(table), model=model, store=store)
    assert sum(file.examples for file in dataset.splits.values()) == len(PROMPTS)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "brings no prompts"),
        ("demo-sentiment", "no file of prompts"),
        ("synthetic", "no file of prompts"),
        ("hub:datasets/some/captions", "no file of prompts"),
        ("few.txt", "holds 3 usable examples"),
        ("long.txt", "more than 10,000"),
    ],
)
def test_what_is_no_prompts(tmp_path: Path, data: str | None, said: str) -> None:
    (tmp_path / "few.txt").write_text("a cat\na dog\na house by the sea\n")
    (tmp_path / "long.txt").write_text("a" * 10_001)
    name = str(tmp_path / data) if data and data.endswith(".txt") else data
    folder = write_folder(tmp_path / "model")
    with Store(tmp_path / "store") as store:
        model = resolve_model(str(folder), store=store)
        with pytest.raises(UsageError, match=said):
            load_dataset(name, model=model, store=store)
