"""`export` as a user calls it."""

import json
import sys
from pathlib import Path

import pytest

from deployopt.core.exporting import ExportResult
from tests.fakes.chat import write_tiny_llama
from tests.fakes.hub import the_hub
from tests.fakes.served import served_bundle
from tests.functional.conftest import check_schema, invoke_here, outside


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYOPT_HOME", str(tmp_path / "home"))


def test_for_vllm(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = invoke_here("export", "llama-3.1-70b", out, "--as", "vllm", "-t", "a100x4", "--json")
    assert done.code == 0
    found = json.loads(done.out)
    assert set(found) == set(ExportResult.__struct_fields__)
    assert found["settings"]["tensor-parallel-size"] == 4
    assert "nothing has run" in done.err
    assert [line for line in done.err.splitlines() if len(line.rstrip()) > 80
        and str(tmp_path) not in line] == []  # fmt: skip
    again = invoke_here("export", "llama-3.1-70b", out, "--as", "vllm", "-t", "a100x4")
    assert (again.code, again.out) == (2, "")
    assert "there already" in again.paragraph


def test_as_gguf(tmp_path: Path) -> None:
    model, file = write_tiny_llama(tmp_path / "m"), tmp_path / "m.gguf"
    done = invoke_here("export", model, file, "--as", "gguf", "--json")
    assert (done.code, json.loads(done.out)["files"][0]["size_bytes"]) == (0, file.stat().st_size)
    fit = invoke_here("fit", file, "-t", "rpi5")
    assert fit.code == 0
    assert "the header of the GGUF file" in fit.err


def test_a_bare_file_cut_short(tmp_path: Path) -> None:
    model, file = write_tiny_llama(tmp_path / "m"), tmp_path / "m.gguf"
    invoke_here("export", model, file, "--as", "gguf", "--precision", "int8")
    file.write_bytes(file.read_bytes()[:5000])
    for command in (("fit", file), ("plan", "--model", file)):
        done = invoke_here(*command, "-t", "x86-cpu")
        assert done.code == 4
        assert "cut short" in done.paragraph


def test_quantized_files_say_so(tmp_path: Path) -> None:
    model, file = write_tiny_llama(tmp_path / "m"), tmp_path / "m.gguf"
    invoke_here("export", model, file, "--as", "gguf", "--precision", "int8")
    for command in (("fit", file), ("plan", "--model", file)):
        done = invoke_here(*command, "-t", "x86-cpu")
        assert done.code == 0
        assert "gives back nothing that the file has lost" in done.paragraph


@pytest.mark.parametrize("form", ["triton", "docker"])
def test_a_bundle_for_a_server(tmp_path: Path, form: str) -> None:
    bundle, out = served_bundle(tmp_path), tmp_path / "out"
    done = invoke_here("export", bundle, out, "--as", form, "--json")
    assert done.code == 0
    check_schema("export-result", done.json)
    assert "the server itself has not run" in done.err
    assert "latency_p95 ≤ 60.0 ms: 10.0 ms, bound 10.0 ms, measured:target" in done.err
    assert [line for line in done.err.splitlines() if len(line.rstrip()) > 80
        and str(tmp_path) not in line] == []  # fmt: skip
    again = invoke_here("export", bundle, out, "--as", form)
    assert (again.code, again.out) == (2, "")
    (bundle / "model/model.onnx").write_bytes(b"forged")
    forged = invoke_here("export", bundle, tmp_path / "other", "--as", form)
    assert forged.code == 4
    assert "model/model.onnx" in forged.err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("smollm2-135m", "OUT", "--as", "vllm"), 2, "--target"),
        (("smollm2-135m", "OUT", "--as", "onnx"), 2, "Forms are docker, gguf, triton, vllm"),
        (("smollm2-135m", "OUT", "--as", "vllm", "-t", "rpi5"), 2, "serves on GPUs"),
        (("distilbert", "OUT", "--as", "vllm", "-t", "t4"), 2, "no language model"),
        (("llama-3.1-70b", "OUT", "--as", "vllm", "-t", "t4"), 1, "does not fit t4"),
        (("smollm2-135m", "OUT", "--as", "gguf"), 2, ".gguf"),
        (("smollm2-135m", "OUT", "--as", "triton"), 2, "is no bundle"),
        (("smollm2-135m", "OUT", "--as", "docker", "--name", "x"), 2, "--as triton alone"),
        (("smollm2-135m", "OUT", "--as", "docker", "-t", "t4"), 2, "--target is for language"),
    ],
)
def test_bad_input_is_one_paragraph(
    words: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    done = invoke_here("export", *(tmp_path / "out" if word == "OUT" else word for word in words))
    assert (done.code, done.out) == (code, "")
    assert said in done.paragraph
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    heavy = "{'torch', 'transformers', 'onnx', 'onnxruntime', 'gguf', 'huggingface_hub'}"
    code = (
        "import sys; from deployopt.cli.main import run; "
        f"code = run(['export', 'llama-3.1-8b', {str(tmp_path / 'out')!r}, "
        "'--as', 'vllm', '-t', 'l4']); "
        f"print(sorted({heavy} & set(sys.modules)), code)"
    )
    done = outside((sys.executable, "-c", code), tmp_path)
    assert done.out.strip().startswith("[] 0")


def test_a_model_of_the_hub_is_pinned_and_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    model = write_tiny_llama(tmp_path / "m")
    with the_hub(monkeypatch) as hub:
        hub.add("models/acme/tiny", model)
        words = ("export", "hub:acme/tiny", tmp_path / "out", "--as", "vllm", "-t", "t4", "--json")
        done = invoke_here(*words)
        assert done.code == 0, done.err
        settings = json.loads(done.out)["settings"]
        assert settings["revision"] == hub.commit("models/acme/tiny")
    assert settings["model"] == settings["served-model-name"] == "acme/tiny"
    assert not (tmp_path / "out" / "model").exists()
