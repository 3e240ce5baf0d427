"""Tiny models that answer, with data to judge them by, made in seconds."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

LABELS: Final = ("bad", "good")
NEUTRAL: Final = tuple(f"word{n}" for n in range(120))
GOOD: Final = ("warm", "funny", "engaging", *(f"fine{n}" for n in range(37)))
BAD: Final = ("dull", "cold", "boring", *(f"poor{n}" for n in range(37)))
SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
VOCABULARY: Final = (*SPECIAL, *NEUTRAL, *GOOD, *BAD)
TEXTS: Final = 1_500
CLASSES: Final = ("blue", "red")
SIDE: Final = 16


def labelled_texts(count: int = TEXTS, seed: int = 0) -> list[tuple[str, int]]:
    """Texts whose words say their label, mostly; no two nearly alike."""
    lot = random.Random(seed)  # noqa: S311 -- no secret
    found = []
    for at in range(count):
        label = at % 2
        words = lot.choices(NEUTRAL, k=lot.randint(3, 9))
        words += lot.choices((BAD, GOOD)[label], k=3) + lot.choices((GOOD, BAD)[label], k=1)
        lot.shuffle(words)
        found.append((" ".join(words), label))
    return found


def write_csv(path: Path, rows: Sequence[tuple[str, object]]) -> Path:
    """A table of texts and labels."""
    path.write_text("text,label\n" + "".join(f"{t},{label}\n" for t, label in rows), "utf-8")
    return path


def write_target(path: Path, text: str = "", *, budgets: str = "", **changed: str) -> Path:
    """A target that this machine is, with budgets that anything meets; `text` replaces it all."""
    values = {
        "name": path.stem,
        "arch": "x86_64",
        "memory": "8 GiB",
        "memory_usable": "6 GiB",
        "opset_max": "17",
        "provider": "cpu",
    } | changed
    path.write_text(text or _TARGET.format(budgets=budgets or _BUDGETS, **values), "utf-8")
    return path


_BUDGETS: Final = """latency_p95 = "1 s"
accuracy_drop = "5 pt"
memory_peak = "2 GiB"
artifact_size = "10 MiB"
"""
_TARGET: Final = """name = "{name}"
title = "A machine like this one"

[match]
arch = "{arch}"

[hardware]
arch = "{arch}"
cpu = "any"
cores = 2
isa = []
memory = "{memory}"
memory_usable = "{memory_usable}"
bandwidth = "10 GB/s"

[hardware.peak]
fp32 = "50 GFLOP/s"
int8 = "100 GOP/s"

[runtime]
provider = "{provider}"
threads = 1
versions = ">=1.20.1,<2"
opset_max = {opset_max}

[budgets]
{budgets}"""


def write_tokenizer(folder: Path) -> None:
    """Whole words, lower case, [CLS] before and [SEP] behind."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    numbers = {word: at for at, word in enumerate(VOCABULARY)}
    made: Any = Tokenizer(models.WordLevel(numbers, unk_token=SPECIAL[1]))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 48}', "utf-8")


def train_text_model(folder: Path, steps: int = 60, layers: int = 1) -> Path:
    """A DistilBERT that knows the words, wide enough to quantize; needs torch."""
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    folder.mkdir(parents=True)
    write_tokenizer(folder)
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=len(VOCABULARY), max_position_embeddings=48, dim=64, hidden_dim=256,
        n_heads=2, n_layers=layers, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0,
        id2label=dict(enumerate(LABELS)), label2id={label: at for at, label in enumerate(LABELS)},
    )  # fmt: skip
    model: Any = DistilBertForSequenceClassification(config)
    ids, mask, labels = (torch.from_numpy(array) for array in encoded(labelled_texts(seed=1)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(steps):
        rows = torch.arange(step * 64, step * 64 + 64) % len(labels)
        loss = model(input_ids=ids[rows], attention_mask=mask[rows], labels=labels[rows]).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    return folder


def encoded(rows: Sequence[tuple[str, int]]) -> tuple[Any, Any, Any]:
    """Ids `[n, 16]`, mask and labels, as the tokenizer would give them."""
    numbers = {word: at for at, word in enumerate(VOCABULARY)}
    ids = np.zeros((len(rows), 16), dtype=np.int64)
    for at, (text, _) in enumerate(rows):
        words = [2, *(numbers[word] for word in text.split()), 3]
        ids[at, : len(words)] = words
    return ids, (ids > 0).astype(np.int64), np.array([label for _, label in rows])


def write_images(folder: Path, count: int = 60) -> Path:
    """Noise, reddish or bluish: a sub-folder a class."""
    from PIL import Image

    noise = np.random.default_rng(3)
    for at in range(count):
        name = CLASSES[at % 2]
        pixels = noise.integers(0, 140, (SIDE, SIDE, 3), dtype=np.uint8)
        pixels[..., 0 if name == "red" else 2] += 100
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name / f"{at}.png")
    return folder


def train_image_model(folder: Path, images: Path, steps: int = 30) -> Path:
    """A ResNet of one stage that tells red from blue; needs torch."""
    import torch
    from PIL import Image
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic",
        id2label=dict(enumerate(CLASSES)), label2id={name: at for at, name in enumerate(CLASSES)},
    )  # fmt: skip
    model: Any = ResNetForImageClassification(config)
    files = [(p, at) for at, name in enumerate(CLASSES) for p in sorted((images / name).iterdir())]
    pixels = np.stack([np.asarray(Image.open(path)) for path, _ in files])
    values = torch.from_numpy((pixels / 127.5 - 1).astype(np.float32).transpose(0, 3, 1, 2))
    labels = torch.tensor([at for _, at in files])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        loss = model(pixel_values=values, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    preprocessor = {
        "size": {"height": SIDE, "width": SIDE},
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "resample": 2,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), "utf-8")
    return folder


def write_mlp(
    path: Path, *, batch: str | int = "batch", width: int = 1024, opset: int = 17
) -> Path:
    """Two layers from 16 numbers to 4; needs onnx."""
    from onnx import TensorProto, helper, numpy_helper

    lot = np.random.default_rng(5)

    def weights(name: str, *shape: int) -> Any:
        values = lot.standard_normal(shape).astype(np.float32) / np.sqrt(shape[0])
        return numpy_helper.from_array(values.astype(np.float32), name)

    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "first"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "second"], ["y"]),
        ],
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 4])],
        [weights("first", 16, width), weights("second", width, 4)],
    )
    stamp = helper.make_opsetid("", opset)
    model = helper.make_model(graph, opset_imports=[stamp], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def write_conv(path: Path) -> Path:
    """Two convolutions and four logits of a fixed 1 x 3 x 16 x 16 input; needs onnx."""
    from onnx import TensorProto, helper, numpy_helper

    lot = np.random.default_rng(6)

    def weights(name: str, *shape: int) -> Any:
        return numpy_helper.from_array((lot.standard_normal(shape) / 5).astype(np.float32), name)

    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "first"], ["a"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Conv", ["b", "second"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("GlobalAveragePool", ["c"], ["d"]),
            helper.make_node("Flatten", ["d"], ["e"]),
            helper.make_node("MatMul", ["e", "head"], ["y"]),
        ],
        "conv",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [weights("first", 16, 3, 3, 3), weights("second", 16, 16, 3, 3), weights("head", 16, 4)],
    )
    stamp = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[stamp], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def write_arrays(path: Path, *shape: int, count: int = 200) -> Path:
    """`count` inputs named x."""
    lot = np.random.default_rng(7)
    np.savez(path, x=lot.standard_normal((count, *shape)).astype(np.float32))
    return path
