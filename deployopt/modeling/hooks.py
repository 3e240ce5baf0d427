"""What goes on inside an encoder's layers while it answers, and how to switch parts of it off."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import msgspec
import torch
from torch import Tensor, nn

from deployopt.modeling.encoders import Encoder

_EMPTY = torch.empty(0)


class LayerWatch(msgspec.Struct, kw_only=True):
    """One layer: what came in and went out `[batch, tokens, hidden]`, and what was within it.

    `context` is the heads' answers side by side, before the output projection; `neurons` the
    feed-forward's, before the second matrix.
    """

    input: Tensor = _EMPTY
    output: Tensor = _EMPTY
    context: Tensor = _EMPTY
    neurons: Tensor = _EMPTY


@contextmanager
def hooked(encoder: Encoder, *, gradients: bool) -> Iterator[list[LayerWatch]]:
    """Watch every layer; with `gradients` they are kept on what is watched."""
    watches = [LayerWatch() for _ in encoder.layers]

    def kept(tensor: Tensor) -> Tensor:
        if gradients:
            tensor.retain_grad()
        return tensor

    with ExitStack() as stack:
        if gradients:
            stack.callback(encoder.layers[0].register_forward_pre_hook(_from_here).remove)
        for layer, watch in zip(encoder.layers, watches, strict=True):
            context, neurons = (
                layer.get_submodule(path) for path in (encoder.family.out, encoder.family.down)
            )
            for part, name in ((context, "context"), (neurons, "neurons")):
                stack.callback(part.register_forward_pre_hook(_noting(watch, name, kept)).remove)
            stack.callback(layer.register_forward_hook(_noting_both(watch, kept)).remove)
        yield watches


@contextmanager
def outputs_of(parts: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """What the named modules give, as they give it."""
    found: dict[str, Tensor] = {}

    def noting(name: str) -> Callable[..., None]:
        def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001 -- the hook's form
            found[name] = first(output)

        return note

    with ExitStack() as stack:
        for name, part in parts.items():
            stack.callback(part.register_forward_hook(noting(name)).remove)
        yield found


@contextmanager
def switched_off(
    encoder: Encoder,
    *,
    layers: tuple[int, ...],
    heads: Mapping[int, tuple[int, ...]],
    neurons: Mapping[int, tuple[int, ...]],
) -> Iterator[None]:
    """The model without these layers, and without these heads and neurons of the layers named."""
    with ExitStack() as stack:
        for at in layers:
            stack.callback(encoder.layers[at].register_forward_hook(_passed_by).remove)
        for at, gone in neurons.items():
            silent = _silencing(gone, 1)
            part = encoder.part(at, encoder.family.down)
            stack.callback(part.register_forward_pre_hook(silent).remove)
        for at, gone in heads.items():
            silent = _silencing(gone, encoder.head_dim)
            part = encoder.part(at, encoder.family.out)
            stack.callback(part.register_forward_pre_hook(silent).remove)
        yield


def first(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """A layer's hidden state, alone or before other things."""
    return output[0] if isinstance(output, tuple) else output


def _from_here(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:  # noqa: ARG001 -- the hook's form
    """Gradients begin at the first layer: the embeddings' are not needed."""
    return (inputs[0].detach().requires_grad_(), *inputs[1:])


def _noting(
    watch: LayerWatch, name: str, kept: Callable[[Tensor], Tensor]
) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:  # noqa: ARG001 -- the hook's form
        setattr(watch, name, kept(inputs[0]))

    return note


def _noting_both(watch: LayerWatch, kept: Callable[[Tensor], Tensor]) -> Callable[..., None]:
    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001 -- the hook's form
        watch.input, watch.output = inputs[0], kept(first(output))

    return note


def _passed_by(
    module: nn.Module,  # noqa: ARG001 -- the hook's form
    inputs: tuple[Tensor, ...],
    output: Tensor | tuple[Tensor, ...],
) -> Tensor | tuple[Tensor, ...]:
    return (inputs[0], *output[1:]) if isinstance(output, tuple) else inputs[0]


def _silencing(
    gone: tuple[int, ...], width: int
) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    def silence(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:  # noqa: ARG001 -- the hook's form
        values = inputs[0].unflatten(-1, (-1, width)).clone()
        values[..., list(gone), :] = 0
        return (values.flatten(-2), *inputs[1:])

    return silence
