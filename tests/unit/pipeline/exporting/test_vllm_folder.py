"""The folder that vLLM serves from."""

import json
import subprocess
from pathlib import Path

import pytest

from deployopt.core.errors import StorageError, UsageError
from deployopt.core.exporting import ExportRequest, ExportResult
from deployopt.pipeline.exporting.run import run_export
from deployopt.pipeline.exporting.vllm import OPTIONS
from deployopt.planning.targets import load_target
from tests.fakes.chat import write_tiny_llama
from tests.fakes.language_bundles import make_language_bundle
from tests.fakes.talkers import make_talker


def export(tmp_path: Path, source: str, target: str | None = "t4", **asked: object) -> ExportResult:
    return run_export(
        ExportRequest(
            source=source,
            form="vllm",
            output=tmp_path / "out",
            target=None if target is None else load_target(target),
            store=tmp_path / "store",
            **asked,  # type: ignore[arg-type]
        )
    )


def settings_in(folder: Path) -> dict[str, object]:
    """Flat YAML whose values are JSON."""
    lines = (folder / "vllm.yaml").read_text().splitlines()
    pairs = (line.split(": ", 1) for line in lines if not line.startswith("#"))
    return {name: json.loads(value) for name, value in pairs}


def test_a_folder_s_weights_go_along(tmp_path: Path) -> None:
    model = write_tiny_llama(tmp_path / "m")
    found = export(tmp_path, str(model))
    out = tmp_path / "out"
    assert (out / "model" / "model.safetensors").read_bytes() == (
        model / "model.safetensors"
    ).read_bytes()
    kept = {"config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    assert kept <= {path.name for path in (out / "model").iterdir()}
    told = settings_in(out)
    assert told == found.settings
    assert set(told) <= OPTIONS
    assert (told["model"], told["served-model-name"], told["dtype"]) == (
        "./model", "m", "float16",
    )  # fmt: skip
    assert (found.model, found.exit_code) == ("LlamaForCausalLM", 0)
    assert "Nothing here has run" in (out / "README.md").read_text()
    assert max(map(len, (out / "README.md").read_text().splitlines())) <= 80


def test_a_model_of_the_hub_is_named(tmp_path: Path) -> None:
    found = export(tmp_path, "llama-3.1-70b", "a100x4")
    told = settings_in(tmp_path / "out")
    assert told["model"] == "meta-llama/Llama-3.1-70B"
    assert told["tensor-parallel-size"] == 4
    assert "revision" not in told
    assert any("not pinned" in warning for warning in found.warnings)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "vllm.yaml", "serve.sh", "README.md",
    }  # fmt: skip


def test_weights_of_four_bits_are_made_elsewhere(tmp_path: Path) -> None:
    found = export(tmp_path, "qwen2.5-7b", "rtx3060")
    out = tmp_path / "out"
    assert settings_in(out)["model"] == "./model-int4"
    assert "quantization" not in settings_in(out)
    assert "llm-compressor" in found.todo[0]
    script = (out / "quantize.py").read_text()
    compile(script, "quantize.py", "exec")
    assert "'Qwen/Qwen2.5-7B', 'main'" in script
    assert "num_bits: 4" in (out / "recipe.yaml").read_text()
    done = subprocess.run(["sh", out / "serve.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "model-int4 is not there yet" in done.stderr


def test_a_bundle_gives_the_model_that_it_was_built_of(tmp_path: Path) -> None:
    bundle = make_language_bundle(make_talker(tmp_path / "talker"), tmp_path / "bundle")
    with pytest.raises(UsageError, match="the store does not have any more"):
        export(tmp_path, str(bundle))


def test_no_room_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_tiny_llama(tmp_path / "m")

    def full(*_args: object) -> None:
        raise StorageError("The folder needs 9 MiB free, and 1 MiB are.")

    monkeypatch.setattr("deployopt.store.handing.require_space", full)
    with pytest.raises(StorageError, match="needs"):
        export(tmp_path, str(model))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("distilbert", "no language model"),
        ("t5-small", "no language model"),
        ("nothing-like-it", "no model"),
        ("/nowhere/at/all", "no file or folder"),
    ],
)
def test_what_is_no_language_model(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        export(tmp_path, source)
    assert not (tmp_path / "out").exists()


def test_a_key_is_for_bundles_and_a_form_is_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--key"):
        export(tmp_path, "smollm2-135m", key=tmp_path / "k.pub")
    with pytest.raises(UsageError, match="Forms are docker, gguf, triton, vllm"):
        run_export(ExportRequest(source="x", form="onnx", output=tmp_path / "out"))
