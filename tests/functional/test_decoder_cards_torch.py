"""Classes of language models for a card: what stands in for them here says what torch says."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.samples import Feed
from deployopt.device.generating.config import read_genai_config
from deployopt.device.generating.scoring import document_nll
from deployopt.steps.decoder import ExportDecoder
from deployopt.steps.stand_in import StandIn
from tests.fakes.chat import sentences, tiny_tokenizer
from tests.functional.test_decoder_classes_torch import GEMMA_LAYERS, made, opened, random_model

pytestmark = [pytest.mark.torch, pytest.mark.slow]
WINDOWS = {"head_dim": 32, "sliding_window": 64}


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("llama", {}),
        ("qwen3", {"head_dim": 32}),
        ("gemma2", WINDOWS),
        ("gemma3_text", {**WINDOWS, "layer_types": GEMMA_LAYERS}),
        ("smollm3", {"no_rope_layers": [1, 0]}),
    ],
)
def test_a_class_for_a_card(kind: str, changed: dict[str, object], tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    from deployopt.modeling.language.scoring import score

    random_model(tmp_path / "m", kind, changed)
    tokenizer = Tokenizer.from_str(tiny_tokenizer())
    texts = [np.array(tokenizer.encode(text).ids[:150]) for text in sentences(3, 80)]
    documents: list[Feed] = [{"input_ids": text[None]} for text in texts]
    reference = sum(score(tmp_path / "m", documents, [], answer=1).nll)
    source = Artifact(
        format=Format.TRANSFORMERS, folder=tmp_path / "m", entry="config.json", digest="d"
    )
    forms = {
        "fp16": (ExportDecoder(precision="fp16", provider="cuda"), Precision.FP16, 0.005),
        "int8": (
            ExportDecoder(precision="int8", provider="cuda", accuracy_level=0, embeddings=False),
            Precision.INT8,
            0.01,
        ),
    }
    for name, (step, precision, near) in forms.items():
        graph = made(step, source, tmp_path / name)
        assert graph.precision is precision
        assert read_genai_config(graph.path).provider == "cuda"
        decoder = opened(made(StandIn(), graph, tmp_path / f"{name}-here"))
        total = sum(document_nll(decoder, text) for text in texts)
        assert total == pytest.approx(reference, rel=near)
