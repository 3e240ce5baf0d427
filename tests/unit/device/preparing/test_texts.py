"""Texts by themselves are what a bundle makes of them."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.core.workload import Workload
from deployopt.device.inputs import feeds
from deployopt.device.preparing.texts import TextPreparer

NAMES = ("input_ids", "attention_mask", "token_type_ids")
TEXTS = ["a good film", "bad " * 20]


@pytest.mark.parametrize("fixed", [None, 5, 12])
def test_as_the_bundle_does(assets: Path, fixed: int | None) -> None:
    inputs = TextInputs(max_length=8, pad_id=7, input_names=NAMES)
    interface = Interface(task=Task.TEXT_CLASSIFICATION, inputs=inputs, outputs=("y",))
    workload = Workload(batch=2, length=fixed or "real")
    (wanted,) = feeds(interface, assets, TEXTS, workload)
    tokenizer = Tokenizer.from_file(str(assets / "tokenizer.json"))
    prepare = TextPreparer(tokenizer, input_names=NAMES, max_length=8, pad_id=7, fixed=fixed)
    found = prepare.arrays(prepare.encode(TEXTS))
    assert list(found) == list(NAMES)
    assert all(np.array_equal(found[name], wanted[name]) for name in NAMES)
    assert found["input_ids"].shape == (2, fixed or 8)
    assert found["input_ids"][0, 3] == 7
