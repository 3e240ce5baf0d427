"""Bad input: the exit code, one paragraph that says what, where and what next, nothing left over.

Every case ends before any work, so none of them needs torch.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import models
from tests.fakes.model_folder import write_json, write_text_model
from tests.functional.conftest import Done, Invoke, check_schema

ROWS = [(text, models.LABELS[label]) for text, label in models.labelled_texts(60)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_text_model(tmp_path / "model", models.LABELS)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return models.write_csv(tmp_path / "data.csv", ROWS)


@pytest.fixture
def build(invoke: Invoke, tmp_path: Path) -> Invoke:
    """A build into folders of its own; it must leave nothing of a bundle behind."""

    def command(*words: object) -> Done:
        before = sorted(path.name for path in tmp_path.iterdir())
        done = invoke("build", "-o", tmp_path / "bundle", "--store", tmp_path / "store", *words)
        after = {path.name for path in tmp_path.iterdir()} - {"store"}
        assert sorted(after) == [name for name in before if name != "store"]
        assert not list((tmp_path / "store").glob("staging/*"))
        return done

    return command


def said(done: Done, code: int, *parts: str) -> None:
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    errors = done.err.split("error:", 1)[-1]
    for part in parts:
        assert part in " ".join(errors.split()), done.err
    assert "\n\n" not in done.err.strip()
    assert done.out == ""


def test_an_unknown_target_names_the_nearest(build: Invoke) -> None:
    said(build("-t", "rpi44", "-m", "demo-sentiment"), 2, "'rpi44'", "'rpi4'", "deployopt targets")


def test_an_unknown_model_names_the_nearest(build: Invoke) -> None:
    said(build("-t", "rpi4", "-m", "distilbret"), 2, "'distilbret'", "distilbert", "demo-sentiment")


def test_a_missing_model_file_is_named(build: Invoke) -> None:
    said(build("-t", "rpi4", "-m", "./nowhere.onnx"), 2, "nowhere.onnx")


def test_an_unknown_metric_names_the_nearest(build: Invoke) -> None:
    done = build("-t", "rpi4", "-m", "demo-sentiment", "-b", "latancy_p95=60ms")
    said(done, 2, "latancy_p95", "latency_p95")


def test_a_limit_of_the_wrong_unit_is_refused(build: Invoke) -> None:
    done = build("-t", "rpi4", "-m", "demo-sentiment", "-b", "latency_p95=60MiB")
    said(done, 2, "latency_p95", "60MiB")


@pytest.mark.parametrize(
    ("wrong", "right", "where", "nearest"),
    [
        ("cores = 2", "corse = 2", "hardware", "cores"),
        ('memory = "8 GiB"', 'memory = "8 apples"', "hardware.memory", "apples"),
        ("latency_p95", "latancy_p95", "budgets.latancy_p95", "latency_p95"),
        ("[runtime]", "[runtme]", "runtme", "runtime"),
        ("threads = 1", "threads = 0", "runtime.threads", "1"),
        ('title = "A', 'title = "A\n', "line", "here.toml"),
    ],
)
def test_a_target_with_a_typo_names_file_and_key(
    build: Invoke, tmp_path: Path, wrong: str, right: str, where: str, nearest: str
) -> None:
    path = models.write_target(tmp_path / "here.toml")
    path.write_text(path.read_text("utf-8").replace(wrong, right), "utf-8")
    said(build("-t", path, "-m", "demo-sentiment"), 2, "here.toml", where, nearest)


def test_no_budgets_is_an_error_with_an_example(build: Invoke, tmp_path: Path) -> None:
    path = models.write_target(tmp_path / "here.toml")
    path.write_text(path.read_text("utf-8").split("[budgets]")[0], "utf-8")
    said(build("-t", path, "-m", "demo-sentiment"), 2, "no budgets", "--budget latency_p95=60ms")


def test_a_folder_without_config(build: Invoke, folder: Path) -> None:
    (folder / "config.json").unlink()
    said(build("-t", "rpi4", "-m", folder), 2, "config.json", str(folder))


def test_a_folder_without_weights(build: Invoke, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    said(build("-t", "rpi4", "-m", folder), 2, "safetensors")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_weights_as_pickle_are_refused(build: Invoke, folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    # The canary: opened by a pickle reader it would leave a file.
    canary = b"cos\nsystem\n(S'touch canary'\ntR."
    (folder / name).write_bytes(canary)
    said(build("-t", "rpi4", "-m", folder), 4, name, "safe_serialization")
    assert not Path("canary").exists()


def test_a_config_that_names_code_is_refused(build: Invoke, folder: Path) -> None:
    config = json.loads((folder / "config.json").read_bytes())
    write_json(folder / "config.json", config | {"auto_map": {"AutoModel": "evil.Model"}})
    said(build("-t", "rpi4", "-m", folder), 4, "auto_map")


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x08" + b"\xff" * 300])
def test_a_corrupt_graph_is_refused(build: Invoke, tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("onnx")
    (tmp_path / "broken.onnx").write_bytes(content)
    said(build("-t", "rpi4", "-m", tmp_path / "broken.onnx"), 4, "broken.onnx")


def test_a_cut_off_graph_is_refused(build: Invoke, tmp_path: Path, mlp: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(mlp.read_bytes()[:-100])
    said(build("-t", "rpi4", "-m", tmp_path / "cut.onnx"), 4, "cut.onnx")


def test_labels_that_the_model_does_not_have(build: Invoke, folder: Path, tmp_path: Path) -> None:
    rows = [(text, {"bad": "bad", "good": "god"}[label]) for text, label in ROWS]
    data = models.write_csv(tmp_path / "data.csv", rows)
    said(build("-t", "rpi4", "-m", folder, "-d", data), 2, "data.csv", "'god'", "'good'", "'bad'")


def test_class_numbers_out_of_range(build: Invoke, folder: Path, tmp_path: Path) -> None:
    data = models.write_csv(tmp_path / "data.csv", [(t, at % 3) for at, (t, _) in enumerate(ROWS)])
    said(build("-t", "rpi4", "-m", folder, "-d", data), 2, "data.csv", "'2'", "2 classes")


def test_columns_that_are_not_there(build: Invoke, folder: Path, data: Path) -> None:
    words = ("-t", "rpi4", "-m", folder, "-d", data, "--column", "text=phrase")
    said(build(*words), 2, "data.csv", "'phrase'", "text")
    said(build(*words[:-1], "phrase"), 2, "--column", "text=NAME")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ("data.csv",)),
        (b"text,label\n", ("data.csv", "no examples")),
        (b"text,label\ngood film,good\n", ("data.csv", "1 usable")),
        ("".join(["text,label\n", *(f"{t},good\n" for t, _ in ROWS)]).encode(), ("one class",)),
        (b"text,label\nfilm \xff\xfe,good\n", ("data.csv", "UTF-8", "line 2")),
        (b"text,label\na,b,c,good\n", ("data.csv", "line 2")),
    ],
    ids=["nothing", "header", "one row", "one class", "not UTF-8", "ragged"],
)
def test_data_that_cannot_judge(
    build: Invoke, folder: Path, tmp_path: Path, content: bytes, parts: Sequence[str]
) -> None:
    (tmp_path / "data.csv").write_bytes(content)
    said(build("-t", "rpi4", "-m", folder, "-d", tmp_path / "data.csv"), 2, *parts)


def test_missing_data_is_named(build: Invoke, folder: Path) -> None:
    said(build("-t", "rpi4", "-m", folder, "-d", "./nowhere.csv"), 2, "nowhere.csv")
    said(build("-t", "rpi4", "-m", folder), 2, "no evaluation data", "CSV")


def test_arrays_of_objects_are_refused(build: Invoke, tmp_path: Path, mlp: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "in.npz", x=np.array([{"a": 1}], dtype=object))
    said(build("-t", "rpi4", "-m", mlp, "-d", tmp_path / "in.npz"), 4, "in.npz", "without objects")


def test_arrays_of_another_shape(build: Invoke, tmp_path: Path, mlp: Path) -> None:
    data = models.write_arrays(tmp_path / "in.npz", 15)
    said(build("-t", "rpi4", "-m", mlp, "-d", data), 2, "in.npz", "16", "15")


def test_a_model_that_cannot_fit_says_what_would(
    build: Invoke, folder: Path, data: Path, tmp_path: Path
) -> None:
    small = models.write_target(tmp_path / "small.toml", memory="64 MiB", memory_usable="48 MiB")
    done = build("-t", small, "-m", folder, "-d", data)
    said(done, 1, "cannot fit small", "48.0 MiB", "What would fit", "target ")


def test_a_large_model_on_a_small_board_ends_before_its_data_is_read(
    build: Invoke, tmp_path: Path
) -> None:
    """Ten thousand million parameters by its config; nothing of that size is made or opened."""
    folder = write_text_model(
        tmp_path / "large", models.LABELS, dim=8192, hidden_dim=32768, n_heads=64, n_layers=24
    )
    done = build("-t", "rpi4-2gb", "-m", folder, "-d", "./nowhere.csv")
    said(done, 1, "cannot fit rpi4-2gb", "What would fit", "million parameters")


def test_a_target_whose_runtime_is_not_built_for(build: Invoke, folder: Path, data: Path) -> None:
    done = build("-t", "h100", "-m", folder, "-d", data, "--runtime", "tensorrt-rtx")
    said(done, 2, "h100", "SM90", "Leave --runtime out", "ONNX Runtime on CUDA")


def test_foreign_files_at_the_output_stay(invoke: Invoke, tmp_path: Path, mlp: Path) -> None:
    for name in ("bundle", "bundle.provisional", "bundle.undecided"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("mine", "utf-8")
        done = invoke(
            "build", "-t", "rpi4", "-m", mlp, "-o", tmp_path / "bundle", "--store", tmp_path / "s"
        )
        said(done, 2, str(tmp_path / name), "left as they are")
        assert (tmp_path / name / "thesis.txt").read_text("utf-8") == "mine"
        assert not list((tmp_path / "s").rglob("*.onnx"))
        shutil.rmtree(tmp_path / name)


def test_an_output_that_is_a_file_or_a_link(invoke: Invoke, tmp_path: Path, mlp: Path) -> None:
    (tmp_path / "file").write_text("mine", "utf-8")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        done = invoke(
            "build", "-t", "rpi4", "-m", mlp, "-o", tmp_path / name, "--store", tmp_path / "s"
        )
        said(done, 2, str(tmp_path / name))
    assert (tmp_path / "file").read_text("utf-8") == "mine"


def test_too_few_examples_are_warned_of_before_work(
    invoke: Invoke, tmp_path: Path, mlp: Path, here: Path
) -> None:
    data = models.write_arrays(tmp_path / "few.npz", 16, count=40)
    done = invoke(
        "plan", "-t", here, "-m", mlp, "-d", data, "--store", tmp_path / "s", "--json",
        "-b", "accuracy_drop=1pt",
    )  # fmt: skip
    assert done.code == 0
    assert "--data" in " ".join(done.json["warnings"])
    assert done.json["plan"]["gate_examples"] < done.json["plan"]["gate_examples_needed"]
    assert f"{done.json['plan']['gate_examples']} examples can prove" in done.paragraph


def test_an_error_under_json_is_one_object(invoke: Invoke) -> None:
    done = invoke("build", "-t", "rpi44", "-m", "demo-sentiment", "--json")
    check_schema("error-result", done.json)
    found: dict[str, Any] = done.json
    assert (found["error"], found["exit_code"], done.code) == ("UsageError", 2, 2)
    assert "rpi44" in found["message"]
