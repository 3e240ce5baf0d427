"""Putting `demo-sentiment` together: public base weights and the adapter shipped here.

In: the folder of all-MiniLM-L6-v2 (`model.safetensors`, `tokenizer.json`), the folder of what was
trained here (`adapter.safetensors`, `card.json`) and a staging folder. Out: a model folder in
Hugging Face form, of the class `DistilBertForSequenceClassification`, in fp32. numpy only. Refuses
base weights of another shape and an adapter that is not the one its card names.

A BERT encoder becomes a DistilBERT one exactly: the names change, and the one token type that is
ever used is added to every position embedding.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deployopt.core.errors import RefusedInputError
from deployopt.sources.demo import LABELS
from deployopt.sources.demo_card import ADAPTER_FILE, read_card

Tensors = dict[str, NDArray[np.float32]]

_LAYER_NAMES: Final[Mapping[str, str]] = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
_HEAD_SETTINGS: Final = ("id2label", "label2id", "problem_type")
_HEAD: Final = ("pre_classifier.weight", "pre_classifier.bias", "classifier.weight")


def assemble(minilm: Path, adapter: Path, destination: Path) -> None:
    """Write the model folder into `destination`, an empty staging folder.

    Raises:
        IntegrityError: the adapter is not the one its card names.
        RefusedInputError: the base weights are not those of the expected model.
    """
    from safetensors.numpy import load_file

    read_card(adapter)
    state = distilbert_tensors(load_file(minilm / "model.safetensors"))
    merge_adapter(state, load_file(adapter / ADAPTER_FILE))
    _write_folder(minilm, state, model_config(state), destination)


def assemble_encoder(minilm: Path, destination: Path) -> None:
    """Write the base alone, without adapter and head: what fine-tuning starts from.

    Raises:
        RefusedInputError: the base weights are not those of the expected model.
    """
    from safetensors.numpy import load_file

    state = distilbert_tensors(load_file(minilm / "model.safetensors"))
    config = model_config(state) | {"architectures": ["DistilBertModel"]}
    plain = {name: value for name, value in config.items() if name not in _HEAD_SETTINGS}
    _write_folder(minilm, state, plain, destination)


def _write_folder(
    minilm: Path, state: Tensors, config: dict[str, object], destination: Path
) -> None:
    from safetensors.numpy import save_file

    save_file(state, destination / "model.safetensors", metadata={"format": "pt"})
    _write_json(destination / "config.json", config)
    positions = len(state["distilbert.embeddings.position_embeddings.weight"])
    _write_json(destination / "tokenizer.json", tokenizer(minilm / "tokenizer.json", positions))
    _write_json(destination / "tokenizer_config.json", tokenizer_config(positions))


def distilbert_tensors(bert: Mapping[str, NDArray[np.float32]]) -> Tensors:
    """A BERT encoder's tensors under DistilBERT's names, token type 0 folded into the positions."""
    try:
        positions = bert["embeddings.position_embeddings.weight"]
        token_type = bert["embeddings.token_type_embeddings.weight"][0]
        state = {
            "distilbert.embeddings.word_embeddings.weight": bert[
                "embeddings.word_embeddings.weight"
            ],
            "distilbert.embeddings.position_embeddings.weight": positions + token_type,
            "distilbert.embeddings.LayerNorm.weight": bert["embeddings.LayerNorm.weight"],
            "distilbert.embeddings.LayerNorm.bias": bert["embeddings.LayerNorm.bias"],
        }
        for layer in range(_layer_count(bert)):
            for old, new in _LAYER_NAMES.items():
                for kind in ("weight", "bias"):
                    target = f"distilbert.transformer.layer.{layer}.{new}.{kind}"
                    state[target] = bert[f"encoder.layer.{layer}.{old}.{kind}"]
    except (KeyError, IndexError, ValueError) as error:
        raise RefusedInputError(f"The base weights are not a BERT encoder's: {error}.") from error
    return {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in state.items()}


def merge_adapter(state: Tensors, adapter: Mapping[str, NDArray[np.float16]]) -> None:
    """Add B @ A to every adapted weight of `state`, and the head (its tensors stand whole)."""
    for name, tensor in adapter.items():
        if name.endswith(".lora_A"):
            module = name.removesuffix(".lora_A")
            low, high = tensor.astype(np.float32), adapter[f"{module}.lora_B"].astype(np.float32)
            weight = state.get(f"{module}.weight")
            if weight is None or weight.shape != (high.shape[0], low.shape[1]):
                raise RefusedInputError(
                    f"The base weights have no {module} of the adapter's shape."
                )
            state[f"{module}.weight"] = weight + high @ low
        elif not name.endswith(".lora_B"):
            state[name] = tensor.astype(np.float32)
    missing = [name for name in _HEAD if name not in state]
    if missing:
        raise RefusedInputError(f"The adapter holds no {', '.join(missing)}.")


def model_config(state: Tensors) -> dict[str, object]:
    """The `config.json` that the tensors' own shapes call for."""
    words, width = state["distilbert.embeddings.word_embeddings.weight"].shape
    layers = sum(name.endswith(".q_lin.weight") for name in state)
    return {
        "architectures": ["DistilBertForSequenceClassification"],
        "model_type": "distilbert",
        "activation": "gelu",
        "attention_dropout": 0.1,
        "dim": width,
        "dropout": 0.1,
        "dtype": "float32",
        "hidden_dim": state["distilbert.transformer.layer.0.ffn.lin1.weight"].shape[0],
        "id2label": {str(at): label for at, label in enumerate(LABELS)},
        "label2id": {label: at for at, label in enumerate(LABELS)},
        "max_position_embeddings": len(state["distilbert.embeddings.position_embeddings.weight"]),
        "n_heads": 12,
        "n_layers": layers,
        "pad_token_id": 0,
        "problem_type": "single_label_classification",
        "seq_classif_dropout": 0.1,
        "sinusoidal_pos_embds": False,
        "vocab_size": words,
    }


def tokenizer(path: Path, max_tokens: int) -> dict[str, object]:
    """The base model's tokenizer without its fixed padding and its cut at 128 tokens."""
    read: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    cut = {"max_length": max_tokens, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    return read | {"padding": None, "truncation": cut}


def tokenizer_config(max_tokens: int) -> dict[str, object]:
    """The `tokenizer_config.json` of an uncased WordPiece tokenizer."""
    return {
        "tokenizer_class": "DistilBertTokenizer",
        "do_lower_case": True,
        "model_max_length": max_tokens,
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
    }


def _layer_count(bert: Mapping[str, NDArray[np.float32]]) -> int:
    count = sum(name.endswith(".attention.self.query.weight") for name in bert)
    if not count:
        raise KeyError("encoder.layer.0")
    return count


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
