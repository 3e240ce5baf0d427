"""Classes of language models through the builder: they say what torch says of the model."""

import json
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.artifact import Artifact, Format
from deployopt.core.decoders import DECODER_CLASSES
from deployopt.core.errors import StepError
from deployopt.core.interface import Interface, PromptInputs, Task
from deployopt.core.recipe import Step, StepContext
from deployopt.core.samples import Feed, encode_samples
from deployopt.device.generating.decoder import Decoder, open_decoder
from deployopt.device.generating.scoring import choices, document_nll
from deployopt.steps.cache import QuantizeCache
from deployopt.steps.decoder import ExportDecoder, QuantizeDecoder
from tests.fakes.chat import END, WORDS, sentences, tiny_tokenizer
from tests.fakes.decoders import setup_for

pytestmark = [pytest.mark.torch, pytest.mark.slow]
SIZES: dict[str, object] = {
    "vocab_size": WORDS,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
GEMMA_LAYERS = ["sliding_attention", "full_attention"]
LONG = {
    "rope_type": "longrope",
    "type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1 + at / 100 for at in range(16)],
    "long_factor": [1 + at / 5 for at in range(16)],
}

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}


def random_model(folder: Path, kind: str, changed: dict[str, object]) -> str:
    """A checkpoint of random weights that say something; the name of its class."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**SIZES, **changed})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1:
                weights.normal_(std=1.5 / weights.shape[-1] ** 0.5)
            elif "norm" in name:
                weights.add_(torch.randn_like(weights) * 0.1)
            else:
                weights.normal_(std=0.05)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tiny_tokenizer())
    options = {"eos_token": END, "pad_token": END, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(options))
    return type(model).__name__


def made(step: Step, source: Artifact, folder: Path, samples: Path | None = None) -> Artifact:
    folder.mkdir()
    inputs = PromptInputs(context=512, chat=False)
    interface = Interface(task=Task.TEXT_GENERATION, inputs=inputs, outputs=("logits",))
    context = StepContext(workdir=folder, interface=interface, samples=samples)
    step.requires(source, context)
    return step.run(source, context)


def opened(artifact: Artifact) -> Decoder:
    return open_decoder(setup_for(artifact.folder / "genai_config.json"), stops=False)


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("qwen2", {}),
        ("gemma2", {"head_dim": 32, "sliding_window": 64}),
        ("gemma3_text", {"head_dim": 32, "sliding_window": 64, "layer_types": GEMMA_LAYERS}),
        ("mistral", {"sliding_window": None, "head_dim": 64}),
        ("smollm3", {"no_rope_layers": [1, 0]}),
        ("phi3", {"original_max_position_embeddings": 128, "rope_parameters": LONG}),
        ("llama", {"rope_parameters": LLAMA3}),
    ],
)
def test_a_class_keeps_its_numbers(kind: str, changed: dict[str, object], tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    from deployopt.modeling.language.scoring import score

    name = random_model(tmp_path / "m", kind, changed)
    assert name in DECODER_CLASSES
    tokenizer = Tokenizer.from_str(tiny_tokenizer())
    texts = [np.array(tokenizer.encode(text).ids[:200]) for text in sentences(4, 80)]
    documents: list[Feed] = [{"input_ids": text[None]} for text in texts]
    prompts: list[Feed] = [{"input_ids": text[None, :100]} for text in texts]
    reference = score(tmp_path / "m", documents, prompts, answer=12)
    source = Artifact(
        format=Format.TRANSFORMERS, folder=tmp_path / "m", entry="config.json", digest="d"
    )
    plain = made(ExportDecoder(), source, tmp_path / "fp32")
    decoder = opened(plain)
    for text, theirs in zip(texts, reference.nll, strict=True):
        assert document_nll(decoder, text) == pytest.approx(theirs, rel=3e-4)
    for text, answer in zip(texts, reference.chosen, strict=True):
        assert choices(decoder, text[:100], answer) == answer
    samples = tmp_path / "texts.npz"
    samples.write_bytes(encode_samples(documents))
    for step in (QuantizeDecoder(), QuantizeCache()):
        decoder = opened(made(step, plain, tmp_path / step.name, samples))
        total = sum(document_nll(decoder, text) for text in texts)
        assert total == pytest.approx(sum(reference.nll), rel=0.01)


def test_angles_that_the_builder_would_get_wrong_are_refused(tmp_path: Path) -> None:
    plain = {"rope_type": "default", "rope_theta": 10000.0}
    stretched = {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0}
    angles = {"full_attention": stretched, "sliding_attention": plain}
    changed = {"head_dim": 32, "layer_types": GEMMA_LAYERS, "rope_parameters": angles}
    random_model(tmp_path / "m", "gemma3_text", changed)
    source = Artifact(
        format=Format.TRANSFORMERS, folder=tmp_path / "m", entry="config.json", digest="d"
    )
    with pytest.raises(StepError, match="Gemma 3 with linear angles would become another model"):
        made(ExportDecoder(), source, tmp_path / "fp32")
