"""The counts that the plain tests compare with, made anew from transformers' classes."""

import json
import os
from pathlib import Path

import pytest

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
    assert wrong == []
