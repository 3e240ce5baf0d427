"""Small random encoders of every family that can be pruned, and inputs for them; needs torch."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from deployopt.core.interface import ImageInputs, Interface, Task, TextInputs
from deployopt.core.samples import Array

FAMILIES: Final = ("bert", "roberta", "electra", "distilbert", "vit", "deit")
LAYERS: Final = 4
HEADS: Final = 4
FFN: Final = 96
LABELS: Final = ("no", "yes", "both")
_SIZES: Final[dict[str, object]] = {
    "num_hidden_layers": LAYERS,
    "hidden_size": 32,
    "num_attention_heads": HEADS,
    "intermediate_size": FFN,
}
_TEXT: Final[dict[str, object]] = {"vocab_size": 120, "max_position_embeddings": 40}
_IMAGE: Final[dict[str, object]] = {"image_size": 16, "patch_size": 8}
_CLASSES: Final[dict[str, tuple[str, str, dict[str, object]]]] = {
    "bert": ("Bert", "ForSequenceClassification", _SIZES | _TEXT),
    "roberta": ("Roberta", "ForSequenceClassification", _SIZES | _TEXT | {"pad_token_id": 0}),
    "electra": ("Electra", "ForSequenceClassification", _SIZES | _TEXT | {"embedding_size": 16}),
    "distilbert": (
        "DistilBert",
        "ForSequenceClassification",
        {"n_layers": LAYERS, "dim": 32, "n_heads": HEADS, "hidden_dim": FFN} | _TEXT,
    ),
    "vit": ("ViT", "ForImageClassification", _SIZES | _IMAGE),
    "deit": ("DeiT", "ForImageClassification", _SIZES | _IMAGE),
}
TEXT_INPUTS: Final = ("input_ids", "attention_mask")


def encoder(family: str, seed: int = 0, **changed: object) -> Any:
    """A model in evaluation mode whose weights are large enough for differences to be seen."""
    import torch
    import transformers

    torch.manual_seed(seed)
    name, ending, sizes = _CLASSES[family]
    labels = dict(enumerate(LABELS))
    config = getattr(transformers, f"{name}Config")(
        id2label=labels,
        label2id={label: at for at, label in labels.items()},
        initializer_range=0.3,
        **(sizes | changed),
    )
    config._attn_implementation = "eager"
    model: Any = getattr(transformers, f"{name}{ending}")(config)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.25) if weight.dim() < 2 else None
    return model.eval()


def interface(family: str) -> Interface:
    """How the family's examples go in."""
    if family in ("vit", "deit"):
        return Interface(
            task=Task.IMAGE_CLASSIFICATION,
            inputs=ImageInputs(input_name="pixel_values", height=16, width=16),
            outputs=("logits",),
            labels=LABELS,
        )
    return Interface(
        task=Task.TEXT_CLASSIFICATION,
        inputs=TextInputs(max_length=32, input_names=TEXT_INPUTS),
        outputs=("logits",),
        labels=LABELS,
    )


def feeds(family: str, count: int = 6, seed: int = 0) -> list[dict[str, Array]]:
    """Requests of one example each; texts of several lengths."""
    random = np.random.default_rng(seed)
    if family in ("vit", "deit"):
        return [
            {"pixel_values": random.standard_normal((1, 3, 16, 16)).astype(np.float32)}
            for _ in range(count)
        ]
    made: list[dict[str, Array]] = []
    for _ in range(count):
        length = int(random.integers(4, 30))
        ids = random.integers(5, 120, (1, length))
        made.append({"input_ids": ids, "attention_mask": np.ones((1, length), np.int64)})
    return made


def padded(family: str, count: int = 6, seed: int = 0) -> dict[str, Array]:
    """The same requests in one batch."""
    from deployopt.modeling.dummies import pad_together

    return pad_together(feeds(family, count, seed), interface(family))


def saved(folder: Path, model: Any) -> Path:
    """The model as a folder."""
    model.save_pretrained(folder)
    return folder
