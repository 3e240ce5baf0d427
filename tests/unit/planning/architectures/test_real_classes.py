"""The counts that the plain tests compare with, made anew from transformers' classes."""

import json
import os
from pathlib import Path

import pytest

from deployopt.planning.architectures import read_architecture

CASES = Path(__file__).parent / "class_counts.jsonl"


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
def test_the_file_of_counts_is_what_the_classes_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    import torch
    import transformers

    wrong = []
    for line in CASES.read_text().splitlines():
        case = json.loads(line)
        config = dict(case["config"])
        name = config["architectures"][0]
        settings = transformers.AutoConfig.for_model(config.pop("model_type"), **config)
        with torch.device("meta"):
            model = getattr(transformers, name)(settings)
        found = sum(each.numel() for each in model.parameters())
        if found != case["parameters"]:
            wrong.append(f"{name}: {case['parameters']} in the file, {found} in the class")
        if name.endswith(("ForCausalLM", "LMHeadModel")):
            table, head = model.get_input_embeddings(), model.get_output_embeddings()
            tied = head.weight is table.weight
            own = 0 if tied else sum(each.numel() for each in head.parameters())
            counted = read_architecture(case["config"])
            if (counted.tied, counted.head_parameters) != (tied, own):
                wrong.append(f"{name}: head of {own}, tied {tied}")
            if counted.embedding_parameters < table.weight.numel():
                wrong.append(f"{name}: a table of {table.weight.numel()}")
    assert wrong == []
