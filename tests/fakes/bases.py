"""Tiny encoders and image models with random weights, to be trained in seconds; they need torch."""

from pathlib import Path
from typing import Any

from tests.fakes.models import LABELS, VOCABULARY, labelled_texts, write_csv, write_tokenizer


def write_encoder(folder: Path, *, layers: int = 2, dropout: float = 0.0) -> Path:
    """A DistilBERT without a head."""
    import torch
    from transformers import DistilBertConfig, DistilBertModel

    folder.mkdir(parents=True)
    write_tokenizer(folder)
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=len(VOCABULARY), max_position_embeddings=48, dim=32, hidden_dim=64, n_heads=2,
        n_layers=layers, dropout=dropout,
    )  # fmt: skip
    model: Any = DistilBertModel(config)
    model.save_pretrained(folder)
    return folder


def write_bert(folder: Path) -> Path:
    """A BERT without a head and without a pooler."""
    import torch
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True)
    write_tokenizer(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY), max_position_embeddings=48, hidden_size=32, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=64, hidden_dropout_prob=0.0, initializer_range=0.4,
    )  # fmt: skip
    model: Any = BertModel(config, add_pooling_layer=False)
    model.save_pretrained(folder)
    return folder


def write_resnet(folder: Path) -> Path:
    """A ResNet of four thin stages with a head for five classes, for images of 32 pixels."""
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    folder.mkdir(parents=True)
    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        num_labels=5,
    )  # fmt: skip
    model: Any = ResNetForImageClassification(config)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"do_resize": true, "size": {"height": 32, "width": 32}, "do_center_crop": false, '
        '"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}',
        "utf-8",
    )
    return folder


def write_reviews(path: Path, count: int = 400, seed: int = 0) -> Path:
    """Texts with their labels by name."""
    return write_csv(path, [(text, LABELS[at]) for text, at in labelled_texts(count, seed)])
