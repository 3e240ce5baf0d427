"""Which weights are trained: all, the upper layers, or adapters beside the linear layers.

In: a started model and the options. Out: the module to train, and back: the plain model with what
was learnt merged in. Refuses a method that the model or the machine has no place for.
"""

from collections.abc import Callable
from typing import Any, Final

from torch import nn
from transformers import PreTrainedModel

from deployopt.core.errors import UsageError
from deployopt.core.memory import Method, Optimizer
from deployopt.core.training import TrainingOptions
from deployopt.modeling.training.places import trains_in_four_bits
from deployopt.modeling.training.prefixes import prefixed
from deployopt.modeling.training.starting import Start

_ALPHA_PER_RANK: Final = 2
_DROPOUT: Final = 0.05
_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def require_machine(options: TrainingOptions) -> None:
    """Raise UsageError where the machine cannot train so; says what can be used instead."""
    ready = trains_in_four_bits()
    why = "needs bitsandbytes and a CUDA GPU, and this machine offers not both"
    if options.method is Method.QLORA and not ready:
        raise UsageError(f"--method qlora {why}. Use --method lora.")
    if options.optimizer is Optimizer.ADAMW_8BIT and not ready:
        raise UsageError(f"--optimizer adamw-8bit {why}. Use --optimizer adamw.")


def prepare(start: Start, options: TrainingOptions) -> nn.Module:
    """The module with gradients where the method wants them.

    Raises:
        UsageError: adapters were asked for, and the model has no linear layer below its head.
    """
    if options.checkpointing:
        _recompute(start.model)
    if options.method is Method.FREEZE or options.unfreeze_every:
        _hold_statistics(start.model)
    if options.method is Method.FREEZE:
        trained = trained_names(start, options.trained_share)
        for name, weight in start.model.named_parameters():
            weight.requires_grad_(name in trained)
        return start.model
    if options.method in {Method.LORA, Method.QLORA}:
        return _adapted(start, options)
    if options.method is Method.PREFIX:
        return prefixed(start, options)
    return start.model


def merged(
    module: nn.Module, options: TrainingOptions, again: Callable[[], Start] | None
) -> PreTrainedModel:
    """The plain model that answers as `module` does.

    `again` starts the base from its own weights, where it was held with fewer bits.
    """
    if again is not None:
        from peft import get_peft_model_state_dict, set_peft_model_state_dict

        learnt = {k: v.float().cpu() for k, v in get_peft_model_state_dict(module).items()}
        module = _adapted(again(), options)
        set_peft_model_state_dict(module, learnt)
    if options.method in {Method.LORA, Method.QLORA}:
        module = module.merge_and_unload()
    plain: PreTrainedModel = module
    return plain


def trained_names(start: Start, share: float) -> frozenset[str]:
    """The head and the upper layers, so many of them; what is defined after them belongs to them.

    No share is the head alone; any other is one layer at least.
    """
    names = [name for name, _ in start.model.named_parameters()]
    layers = layer_names(start.model, start.backbone_name)
    kept = max(1, round(len(layers) * share)) if layers and share else 0
    first = f"{layers[len(layers) - kept]}." if kept else ""
    begins = next((at for at, name in enumerate(names) if first and name.startswith(first)), None)
    heads = tuple(f"{name}." for name in start.head_names)
    above = [] if begins is None else names[begins:]
    return frozenset((*above, *(name for name in names if name.startswith(heads))))


def layer_names(model: PreTrainedModel, backbone: str) -> tuple[str, ...]:
    """The blocks of the backbone, from the input up: of all its lists the heaviest."""
    lists = [
        (sum(weight.numel() for weight in part.parameters()), -len(name), name, part)
        for name, part in model.named_modules()
        if isinstance(part, nn.ModuleList | nn.Sequential)
        and name.startswith(f"{backbone}.")
        and len(part) > 1
    ]
    if not lists:
        return ()
    _, _, name, found = max(lists, key=lambda item: item[:2])
    return tuple(f"{name}.{child}" for child, _ in found.named_children())


def _recompute(model: PreTrainedModel) -> None:
    if not model.supports_gradient_checkpointing:
        raise UsageError(
            f"{type(model).__name__} cannot work its activations out again. Leave out "
            "--checkpointing, and lower --batch where memory is short."
        )
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _hold_statistics(model: nn.Module) -> None:
    """Normalisation layers keep their running means while they are frozen."""
    norms = [part for part in model.modules() if isinstance(part, _NORMS)]
    if norms:

        def hold(*_: object) -> None:
            for part in norms:
                weights = list(part.parameters())
                if weights and not any(weight.requires_grad for weight in weights):
                    part.eval()

        # The trainer puts the whole model into training mode before every step.
        model.register_forward_pre_hook(hold)


def _adapted(start: Start, options: TrainingOptions) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    heads = start.head_names
    inside = _within(heads)
    linear = [
        name
        for name, part in start.model.named_modules()
        if _is_linear(part) and name.startswith(f"{start.backbone_name}.") and not inside(name)
    ]
    if not linear:
        raise UsageError(
            f"{type(start.model).__name__} has no linear layers below its head, so "
            "there is nothing for LoRA to stand beside. Use --method full or --method freeze."
        )
    settings = LoraConfig(
        r=options.rank,
        lora_alpha=_ALPHA_PER_RANK * options.rank,
        lora_dropout=_DROPOUT,
        target_modules=linear,
        modules_to_save=list(heads),
    )
    adapted: nn.Module = get_peft_model(start.model, settings)
    return adapted


def _within(names: tuple[str, ...]) -> Callable[[str], bool]:
    return lambda name: any(name == one or name.startswith(f"{one}.") for one in names)


def _is_linear(part: Any) -> bool:  # noqa: ANN401 -- a 4-bit layer is of a class that may be absent
    return isinstance(part, nn.Linear)
