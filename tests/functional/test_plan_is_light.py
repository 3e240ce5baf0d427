"""What answers before anything is built imports nothing that builds: each command in a process.

The heavy packages are looked for among the modules that are loaded when the command has answered.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fakes.large_folder import large_parameters, write_large_decoder
from tests.fakes.model_folder import write_text_model

PROGRAM = """
import json, sys
from deployopt.cli.main import run
code = run(sys.argv[1:])
loaded = sorted({name.partition(".")[0] for name in sys.modules})
sys.stdout.write("\\n" + json.dumps([int(code), loaded]))
"""
HEAVY = frozenset({
    "torch", "transformers", "onnx", "onnx_ir", "onnxscript", "onnxruntime", "optimum", "peft",
    "accelerate", "safetensors", "tokenizers", "huggingface_hub", "pyarrow", "PIL", "scipy",
    "pandas", "jinja2", "numpy",
})  # fmt: skip
ANSWERS = frozenset({0, 1, 3})


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny classifier and a large decoder."""
    root = tmp_path_factory.mktemp("models")
    return {
        "TINY": write_text_model(root / "tiny", tokenizer=True),
        "LARGE": write_large_decoder(root / "large"),
    }


def heavy_modules(words: Sequence[str], cwd: Path) -> tuple[str, list[str]]:
    """What the command printed, and which heavy packages it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=True,
    )
    printed, _, last = done.stdout.rpartition("\n")
    code, loaded = json.loads(last)
    assert code in ANSWERS, done.stderr
    return printed, sorted(HEAVY & set(loaded))


@pytest.mark.parametrize(
    "line",
    [
        "fit qwen2.5-7b --target rtx3060",
        "fit llama-2-7b --target rtx3060 --training",
        "fit --params 7B --layers 32 --target rtx3060",
        "fit TINY --target rpi4",
        "fit LARGE --target a100x4",
        "recommend --task sentiment --target rpi4 --examples 8000",
        "recommend --task detection --target rtx3060 --realtime",
        "plan --model distilbert --target rpi4",
        "plan --model demo-sentiment --target rpi4 --json",
        "plan --model TINY --target rpi4",
        "plan --model LARGE --target a100x4",
    ],
)
def test_nothing_heavy_is_loaded(line: str, folders: dict[str, Path], tmp_path: Path) -> None:
    words = [str(folders.get(word, word)) for word in line.split()]
    _, heavy = heavy_modules(words, tmp_path)
    assert heavy == []


def test_the_search_finds_what_is_loaded(tmp_path: Path) -> None:
    program = "import numpy\n" + PROGRAM
    done = subprocess.run(
        [sys.executable, "-c", program, "targets"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert "numpy" in json.loads(done.stdout.rpartition("\n")[2])[1]


def test_a_large_folder_is_read_by_its_headers(folders: dict[str, Path], tmp_path: Path) -> None:
    words = ("fit", str(folders["LARGE"]), "--target", "a100x4", "--json")
    printed, _ = heavy_modules(words, tmp_path)
    assert json.loads(printed)["fit"]["parameters"] == large_parameters()
    assert 69e9 < large_parameters() < 71e9
