"""Prefix tuning: keys and values that every layer attends to before the text's own (2101.00190).

In: a started encoder whose attention takes keys from outside. Out: the module to train, and back
from the adapter's files. The prefix is no part of any weight, so it cannot be merged: the result is
an adapter to be opened beside its base, and no model that exports as an ordinary one.
"""

from pathlib import Path
from typing import Final

from torch import nn

from deployopt.core.errors import UsageError
from deployopt.core.interface import Interface
from deployopt.core.training import PREFIX_TYPES, TrainingOptions
from deployopt.modeling.training.quieting import quiet_training
from deployopt.modeling.training.starting import Start, start_model

_WEIGHTS: Final = "adapter_model.safetensors"


def prefixed(start: Start, options: TrainingOptions) -> nn.Module:
    """The base with a prefix of `rank` tokens; that and the head are trained.

    Raises:
        UsageError: the attention of this kind of model takes no keys from outside.
    """
    from peft import PrefixTuningConfig, get_peft_model

    kind = str(start.model.config.model_type)
    if kind not in PREFIX_TYPES:
        raise UsageError(
            f"Prefix tuning needs a base whose attention takes keys from outside "
            f"({', '.join(PREFIX_TYPES)}), and this one is a {kind}. Use --method lora."
        )
    settings = PrefixTuningConfig(
        task_type="SEQ_CLS",
        num_virtual_tokens=options.rank,
        modules_to_save=list(start.head_names),
    )
    module: nn.Module = get_peft_model(start.model, settings)
    return module


def save_prefix(module: nn.Module, origin: str, folder: Path) -> None:
    """The adapter's files, which name the base as `origin` does, not as a place on this machine."""
    for settings in module.peft_config.values():
        settings.base_model_name_or_path = origin
    # Else peft would look the base up on the hub.
    module.save_pretrained(folder, save_embedding_layers=False)


def open_prefix(
    base: Path, folder: Path, interface: Interface, options: TrainingOptions, *, new_head: bool
) -> nn.Module:
    """The base with the adapter of `folder`, ready to answer."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    with quiet_training():
        module = prefixed(start_model(base, interface, new_head=new_head), options)
    set_peft_model_state_dict(module, load_file(folder / _WEIGHTS))
    return module.eval()
