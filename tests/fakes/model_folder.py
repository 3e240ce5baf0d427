"""Model folders in Hugging Face form, written without torch: tiny, whole, and easy to spoil."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[np.float32]]
WORDS: Final = ("a", "good", "bad", "film", "warm", "dull", "##s", "it", "is", ".", "fine", "poor")
SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LABELS: Final = ("NEGATIVE", "POSITIVE")


def write_safetensors(path: Path, tensors: Tensors) -> None:
    """A file as safetensors lays it out."""
    header: dict[str, object] = {}
    position = 0
    for name in sorted(tensors):
        size = tensors[name].nbytes
        header[name] = {
            "dtype": "F32",
            "shape": list(tensors[name].shape),
            "data_offsets": [position, position + size],
        }
        position += size
    text = json.dumps(header).encode()
    data = b"".join(np.ascontiguousarray(tensors[name]).tobytes() for name in sorted(tensors))
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def text_config(labels: Sequence[str] = LABELS, **changed: object) -> dict[str, object]:
    """The `config.json` of a DistilBERT classifier of a few kilobytes."""
    config: dict[str, object] = {
        "architectures": ["DistilBertForSequenceClassification"],
        "model_type": "distilbert",
        "dim": 8,
        "hidden_dim": 16,
        "n_heads": 2,
        "n_layers": 1,
        "max_position_embeddings": 64,
        "vocab_size": len(WORDS) + len(SPECIAL),
        "pad_token_id": 0,
        "id2label": {str(at): label for at, label in enumerate(labels)},
        "label2id": {label: at for at, label in enumerate(labels)},
    }
    return config | changed


def write_text_model(
    folder: Path, labels: Sequence[str] = LABELS, *, tokenizer: bool = False, **changed: object
) -> Path:
    """A text model; with `vocab.txt` alone unless `tokenizer`, as older ones on the hub."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", text_config(labels, **changed))
    (folder / "vocab.txt").write_text("\n".join((*SPECIAL, *WORDS)) + "\n", encoding="utf-8")
    write_json(folder / "tokenizer_config.json", {"do_lower_case": True, "model_max_length": 48})
    rng = np.random.default_rng(0)
    tensors = {
        "classifier.weight": rng.standard_normal((len(labels), 8)).astype(np.float32),
        "distilbert.embeddings.word_embeddings.weight": rng.standard_normal(
            (len(WORDS) + len(SPECIAL), 8)
        ).astype(np.float32),
    }
    write_safetensors(folder / "model.safetensors", tensors)
    if tokenizer:
        from deployopt.sources.tokenizer_files import write_tokenizer

        write_tokenizer(folder, "distilbert")
    return folder


def write_image_model(folder: Path, labels: Sequence[str] = ("cat", "dog")) -> Path:
    """An image model whose images are 8 pixels a side, cropped from 10."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["ResNetForImageClassification"],
        "model_type": "resnet",
        "id2label": {str(at): label for at, label in enumerate(labels)},
    }
    write_json(folder / "config.json", config)
    preprocessor = {
        "size": {"shortest_edge": 10},
        "do_center_crop": True,
        "crop_size": {"height": 8, "width": 8},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.25, 0.25, 0.25],
        "resample": 2,
    }
    write_json(folder / "preprocessor_config.json", preprocessor)
    weights = np.zeros((len(labels), 4), dtype=np.float32)
    write_safetensors(folder / "model.safetensors", {"classifier.1.weight": weights})
    return folder


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def sentences(count: int, seed: int = 0) -> list[tuple[str, int]]:
    """Distinct short texts with a label, no two nearly alike."""
    rng = np.random.default_rng(seed)
    found: list[tuple[str, int]] = []
    for at in range(count):
        words = [f"w{number}" for number in rng.integers(0, 10_000, 6)]
        found.append((f"{' '.join(words)} n{seed}x{at}", at % 2))
    return found
