"""A base model with a head for the labels that are trained, and which of its parts are new.

In: a folder in Hugging Face form, with a classification head or without. Out: the torch module in
float32, its labels set. Refuses weights that are not the model's: nothing below the head may be
missing.
"""

from pathlib import Path
from typing import Any, Final

import torch
import transformers
from torch import nn
from transformers import PreTrainedModel
from transformers.models.auto import modeling_auto

from deployopt.core.errors import StepError, UsageError
from deployopt.core.interface import Interface, Task
from deployopt.modeling.loading import check_weights, read_config
from deployopt.modeling.quiet import quiet_transformers

_TABLES: Final = {
    Task.TEXT_CLASSIFICATION: modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    Task.IMAGE_CLASSIFICATION: modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
}
_HEAD_SPREAD: Final = 0.02
# A pooler belongs to the head: encoders come without one.
_ABOVE: Final = ("pooler", "pooled")


class Start:
    """The module, and the names of its parts that hold no trained weights."""

    def __init__(
        self, model: PreTrainedModel, fresh: tuple[str, ...], *, headed: bool = True
    ) -> None:
        self.model = model
        self.fresh = fresh
        self._headed = headed

    @property
    def backbone_name(self) -> str:
        """The attribute under which everything below the head stands."""
        return str(self.model.base_model_prefix)

    @property
    def head_names(self) -> tuple[str, ...]:
        """The parts above the backbone, and new parts inside it; only those with parameters.

        None in a language model: what stands above was trained with the rest.
        """
        if not self._headed:
            return ()
        above = [
            name
            for name, part in self.model.named_children()
            if name != self.backbone_name and any(True for _ in part.parameters())
        ]
        return tuple(dict.fromkeys((*above, *self.fresh)))


def start_model(
    folder: Path, interface: Interface, *, new_head: bool, quantized: bool = False
) -> Start:
    """The model to train; a new head is drawn from torch's random numbers.

    Raises:
        RefusedInputError: pickled weights, or a config that asks for code.
        UsageError: transformers has no classifier of this kind.
        StepError: the weights are not those of the config.
    """
    config = read_config(folder)
    check_weights(folder)
    kind = config.get("model_type")
    model_class = _classifier(str(kind), interface.task)
    labels = interface.labels
    with quiet_transformers():
        try:
            settings = transformers.AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            settings.id2label = dict(enumerate(labels))
            settings.label2id = {label: at for at, label in enumerate(labels)}
            settings.problem_type = "single_label_classification"
            model, report = model_class.from_pretrained(
                folder,
                config=settings,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                dtype=torch.float32,
                **quantization(quantized=quantized),
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise StepError(
                f"The weights in {folder} do not load as {model_class.__name__}: {error} "
                "Check that config.json belongs to these weights."
            ) from error
    missing = sorted({*report["missing_keys"], *(str(m[0]) for m in report["mismatched_keys"])})
    fresh = _fresh_parts(model, missing, folder)
    if new_head:
        _draw_answers(model, len(labels))
    return Start(model, fresh)


def _classifier(kind: str, task: Task) -> type[PreTrainedModel]:
    named = _TABLES[task].get(kind)
    name = named[0] if isinstance(named, tuple | list) else named
    found = getattr(transformers, name, None) if isinstance(name, str) else None
    if not (isinstance(found, type) and issubclass(found, PreTrainedModel)):
        raise UsageError(
            f"transformers {transformers.__version__} has no {task} model of the type {kind!r}, so "
            "it cannot be fine-tuned for it. Take another base; docs/models.md lists some."
        )
    return found


def quantization(*, quantized: bool) -> dict[str, Any]:
    """What from_pretrained is told of 4 bits."""
    if not quantized:
        return {}
    settings = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": settings}


def _fresh_parts(model: PreTrainedModel, missing: list[str], folder: Path) -> tuple[str, ...]:
    """Modules without trained weights; those below the head may only be poolers."""
    prefix = f"{model.base_model_prefix}."
    below = [name for name in missing if name.startswith(prefix)]
    wrong = [name for name in below if not any(part in name for part in _ABOVE)]
    if wrong:
        raise StepError(
            f"{folder} lacks {len(wrong)} of the weights that its config.json calls for "
            f"({wrong[0]}): training would start from random numbers there. Fetch the model again."
        )
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in below))


def _draw_answers(model: PreTrainedModel, count: int) -> None:
    """The last linear layer of the head anew: what it answered were other labels."""
    prefix = f"{model.base_model_prefix}."
    last = [
        part
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear) and part.out_features == count
        and not f"{name}.".startswith(prefix)
    ]  # fmt: skip
    with torch.no_grad():
        for part in last[-1:]:
            nn.init.normal_(part.weight, std=_HEAD_SPREAD)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
