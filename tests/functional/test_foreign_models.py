"""Models from Python and folders of families that nobody expected."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.functional.conftest import Invoke

pytestmark = pytest.mark.torch


def answering(width: int) -> Any:
    """A module of two inputs whose answer is a mapping."""
    import torch

    class Named(torch.nn.Module):  # type: ignore[misc] # torch is not followed
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(8, 64)
            self.outer = torch.nn.Linear(64, width)

        def forward(self, left: Any, right: Any, scale: float = 1.0) -> dict[str, Any]:
            return {"out": self.outer(torch.relu(self.inner(left + right))) * scale}

    return Named()


def given(width: int, folder: Path, labels: tuple[str, ...] = ()) -> Any:
    import torch

    from deployopt.sources.modules import GivenModule, module_source
    from deployopt.store.store import Store

    examples = (torch.randn(2, 8), torch.randn(2, 8))
    module = GivenModule(module=answering(width), example_inputs=examples, labels=labels)
    with Store(folder) as store:
        return module_source(module, name="named", store=store)


def test_a_module_that_answers_by_name_is_exported(tmp_path: Path) -> None:
    interface = given(1, tmp_path / "store").interface
    assert [one.name for one in interface.inputs.inputs] == ["left", "right"]
    assert interface.inputs.inputs[0].shape == ("batch", 8)


def test_labels_of_a_module_have_to_fit_its_answer(tmp_path: Path) -> None:
    from deployopt.core.errors import UsageError

    with pytest.raises(UsageError, match="3 labels are given"):
        given(10, tmp_path / "store", ("a", "b", "c"))
    assert given(3, tmp_path / "store", ("a", "b", "c")).interface.labels == ("a", "b", "c")


def test_what_is_wrong_is_said_of_the_folder_that_was_given(
    invoke: Invoke, tmp_path: Path, text_model: Path, texts: Path
) -> None:
    folder = tmp_path / "strange"
    folder.mkdir()
    for file in text_model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "unheard-of"}), "utf-8")
    store = tmp_path / "store"
    done = invoke("plan", "-t", "rpi4", "-m", folder, "-d", texts, "--store", store)
    assert done.code == 2
    assert f"{folder}/config.json is of the type 'unheard-of'" in done.err.replace("\n", "")
    assert "staging" not in done.err
    assert "model.interface.json beside it" in " ".join(done.err.split())


def test_deberta_goes_from_folder_to_checked_graph(tmp_path: Path, text_model: Path) -> None:
    from deployopt.core.interface import TextInputs
    from deployopt.core.recipe import StepContext
    from deployopt.sources.models import resolve_model
    from deployopt.steps.export import Export
    from deployopt.store.store import Store

    folder = tiny_deberta(tmp_path / "deberta", text_model)
    with Store(tmp_path / "store") as store:
        source = resolve_model(str(folder), store=store)
        assert isinstance(source.interface.inputs, TextInputs)
        assert source.interface.inputs.input_names == ("input_ids", "attention_mask")
        (tmp_path / "work").mkdir()
        where = StepContext(workdir=tmp_path / "work", interface=source.interface, samples=None)
        made = Export().run(source.artifact, where)
    assert made.path.is_file()


def tiny_deberta(folder: Path, tokenizer_of: Path) -> Path:
    """One layer whose attention looks at the distance of words."""
    import torch
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    torch.manual_seed(0)
    config = DebertaV2Config(
        vocab_size=300, hidden_size=64, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=48, relative_attention=True,
        position_buckets=16, pos_att_type=["p2c", "c2p"], norm_rel_ebd="layer_norm",
        share_att_key=True, position_biased_input=False, type_vocab_size=0,
        pooler_hidden_size=64, pad_token_id=0,
    )  # fmt: skip
    DebertaV2ForSequenceClassification(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((tokenizer_of / name).read_bytes())
    return folder
