"""`fit`: which precision fits which card, from aliases, folders, graphs and sizes given by hand."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.functional.conftest import Done, check_schema, invoke_here, outside

LLAMA_70B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 400,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def fit(*words: object) -> Any:
    done = invoke_here("fit", *words, "--json")
    check_schema("fit-result", done.json)
    assert done.json["exit_code"] == done.code
    return done.json["fit"]


def standings(found: Any) -> dict[str, str]:
    return {use["precision"]: use["standing"] for use in found["uses"]}


def methods(found: Any) -> dict[str, str]:
    """The best standing of each method of training."""
    order = ["inside", "unsettled", "outside"]
    best: dict[str, str] = {}
    for use in found["uses"]:
        name = use["training"]["method"]
        best[name] = min(best.get(name, "outside"), use["standing"], key=order.index)
    return best


def folder(path: Path, config: object) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    return path


def test_llama_on_a_12_gb_card() -> None:
    found = fit("llama-2-7b", "--target", "rtx3060")
    words = standings(found)
    assert words["fp16"] == words["fp32"] == "outside"
    assert words["int8"] == words["int4"] == "inside"
    best = found["uses"][found["best"]]
    assert best["precision"] == "int8"
    assert 6.7e9 < best["need"]["total"]["value"] < 11 * 2**30
    assert best["predicted"]["decode_tps"]["value"] * best["need"]["total"]["value"] / 1e3 > 1.5e8
    assert sum(part["bytes"] for part in best["need"]["parts"]) == pytest.approx(
        best["need"]["total"]["value"]
    )


def test_llama_is_trained_by_qlora_there() -> None:
    found = fit("llama-2-7b", "--target", "rtx3060", "--training")
    assert methods(found) == {
        "full": "outside",
        "freeze": "outside",
        "lora": "outside",
        "qlora": "inside",
    }
    chosen = found["uses"][found["best"]]
    assert chosen["training"]["method"] == "qlora"
    assert chosen["largest_batch"] >= 1
    assert chosen["largest_context"] >= 1024


def test_what_was_asked_for_does_not_fit_and_what_would() -> None:
    done = invoke_here("fit", "llama-2-7b", "-t", "rtx3060", "--precision", "fp16")
    assert done.code == 1
    assert "What would fit" in done.paragraph
    assert re.search(r"int8|int4|a100", done.paragraph)


def test_every_target_answers_for_the_embedded_model() -> None:
    for name in ("rpi4", "rpi5", "jetson-orin-nano", "x86-cpu", "t4", "a100x4", "h100"):
        found = fit("demo-sentiment", "--target", name)
        assert "inside" in standings(found).values(), name
        assert found["parameters"] == 22_713_218


def test_a_folder_without_weights_of_70_billion_parameters(tmp_path: Path) -> None:
    found = fit(folder(tmp_path / "big", LLAMA_70B), "--target", "a100x4")
    assert found["parameters"] == pytest.approx(7.1e10, rel=0.05)
    assert len(found["uses"]) >= 4


def test_sizes_by_hand() -> None:
    found = fit("--params", "7B", "--layers", "32", "--hidden", "4096", "-t", "rtx3060")
    assert found["parameters"] == 7 * 10**9
    assert standings(found)["int4"] == "inside"
    encoder = fit("--params", "110M", "--encoder", "-t", "rpi4")
    assert standings(encoder)["fp32"] == "inside"
    assert not any(stack["causal"] for stack in encoder["architecture"]["stacks"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fit", "-t", "rpi4"), "model"),
        (("fit", "distilbert"), "--target"),
        (("fit", "distilbart-xx", "-t", "rpi4"), "no model"),
        (("fit", "distilbert", "-t", "rpi4", "--batch", "0"), "--batch"),
        (("fit", "distilbert", "-t", "rpi4", "--batch", "-3"), "--batch"),
        (("fit", "llama-2-7b", "-t", "rpi4", "--context", "0"), "--context"),
        (("fit", "llama-2-7b", "-t", "rpi4", "--precision", "int7"), "int7"),
        (("fit", "llama-2-7b", "-t", "rpi4", "--precision", "mixed"), "mixed"),
        (("fit", "llama-2-7b", "-t", "rpi4", "--method", "lora"), "--training"),
        (("fit", "-t", "rpi4", "--params", "-7B"), "--params"),
        (("fit", "-t", "rpi4", "--params", "7B", "--layers", "100000000"), "layers"),
        (("fit", "-t", "rpi4", "--layers", "32"), "--params"),
        (("fit", "distilbert", "-t", "rpi4", "--params", "7B"), "--params"),
        (("fit", "nowhere/at-all", "-t", "rpi4"), "hub:nowhere/at-all"),
    ],
)
def test_bad_input_is_one_paragraph_and_exit_2(words: tuple[str, ...], said: str) -> None:
    done = invoke_here(*words)
    assert (done.code, done.out) == (2, "")
    assert said in done.paragraph
    assert "Traceback" not in done.err
    assert "deployopt itself failed" not in done.err


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "hidden_size"),
        ({"model_type": "llama", "hidden_size": "x"}, "hidden_size"),
        (LLAMA_70B | {"num_hidden_layers": -1}, "num_hidden_layers"),
        (LLAMA_70B | {"hidden_size": 10**30}, "hidden_size"),
        (LLAMA_70B | {"num_attention_heads": 0}, "num_attention_heads"),
        ([1, 2], "config.json"),
    ],
)
def test_a_bad_config_names_the_key_and_the_way_out(
    config: object, said: str, tmp_path: Path
) -> None:
    done = invoke_here("fit", folder(tmp_path / "model", config), "-t", "rtx3060")
    assert done.code in {2, 4}
    assert said in done.paragraph
    assert "deployopt itself failed" not in done.err


def test_the_terminal_is_eighty_wide() -> None:
    for words in (("llama-2-7b", "-t", "rtx3060"), ("llama-2-7b", "-t", "a100x4", "--training")):
        done: Done = invoke_here("fit", *words)
        assert [line for line in done.err.splitlines() if len(line.rstrip()) > 80] == []


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    model = folder(tmp_path / "big", LLAMA_70B)
    heavy = "{'torch', 'transformers', 'onnx', 'onnxruntime', 'numpy', 'huggingface_hub'}"
    code = (
        "import sys; from deployopt.cli.main import run; "
        f"code = run(['fit', {str(model)!r}, '-t', 'a100x4']); "
        f"print(sorted({heavy} & set(sys.modules)), code)"
    )
    done = outside((sys.executable, "-c", code), tmp_path)
    assert done.out.strip().startswith("[] ")


def test_a_board_that_has_room_to_train_is_still_no_place_for_it() -> None:
    found = fit("distilbert", "--target", "rpi4", "--training")
    assert [w for w in found["warnings"] if w.startswith("rpi4 is for inference")]
    assert not fit("distilbert", "--target", "rtx3060", "--training")["warnings"]
    assert not fit("distilbert", "--target", "rpi4")["warnings"]
