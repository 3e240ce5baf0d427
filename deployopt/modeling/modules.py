"""A module given from Python, with example inputs, to an ONNX file checked against it.

The first dimension becomes free where all inputs share it and the graph still says what the module
says for another batch; otherwise every size stays as in the example.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from deployopt.core.errors import StepError
from deployopt.core.interface import ArrayInput, ArrayInputs, Interface, Task
from deployopt.core.samples import Array
from deployopt.modeling.agreement import check_agreement, run_onnx
from deployopt.modeling.exporting import ExportOptions
from deployopt.modeling.threads import torch_threads
from deployopt.modeling.tracing import Trace, trace_to_onnx

OUTPUT: Final = "output"
_REPEATS: Final = 3


def is_module(value: object) -> bool:
    """Whether it is a torch.nn.Module."""
    return isinstance(value, nn.Module)


def export_module(
    module: nn.Module,
    example_inputs: Mapping[str, Tensor],
    destination: Path,
    options: ExportOptions,
) -> Interface:
    """Write `destination`; the interface of the graph, its inputs named as the examples are.

    `example_inputs` are passed to the module in their order; its first output is the graph's.

    Raises:
        StepError: no examples, it does not export, or the graph does not say what the module says.
    """
    if not example_inputs:
        raise StepError("Exporting a module needs example inputs: a name and a tensor for each.")
    examples = [dict(example_inputs)]
    batches = {tensor.shape[0] if tensor.dim() else None for tensor in example_inputs.values()}
    was_training = module.training
    try:
        if len(batches) == 1 and None not in batches:
            repeated = {n: torch.cat([t] * _REPEATS) for n, t in example_inputs.items()}
            try:
                _export(module, [*examples, repeated], destination, options, free=True)
                return _interface(example_inputs, free=True)
            except StepError:
                # Some modules have their batch built in: then it is part of the contract.
                destination.unlink(missing_ok=True)
        _export(module, examples, destination, options, free=False)
    finally:
        module.train(was_training)
    return _interface(example_inputs, free=False)


def _export(
    module: nn.Module,
    examples: list[dict[str, Tensor]],
    destination: Path,
    options: ExportOptions,
    *,
    free: bool,
) -> None:
    names = tuple(examples[0])
    first = First(module)
    with torch_threads(options.threads):
        expected = [_ask(first, example) for example in examples]
        trace = Trace(
            inputs=names,
            outputs=(OUTPUT,),
            axes={name: {0: "batch"} for name in names} if free else {},
            opset=options.opset,
            exporter=options.exporter,
        )
        traced = destination.with_name("traced.onnx")
        weights = trace_to_onnx(first, tuple(examples[0].values()), trace, traced)
        options.attach(traced, weights, destination)
        traced.unlink()
    feeds: list[dict[str, Array]] = [
        {name: tensor.numpy() for name, tensor in example.items()} for example in examples
    ]
    check_agreement(expected, run_onnx(destination, feeds, options.threads), "The exported graph")


def _ask(module: nn.Module, example: Mapping[str, Tensor]) -> Array:
    try:
        with torch.inference_mode():
            answer: Array = module(*example.values()).numpy().copy()
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise StepError(f"The module does not run on its example inputs: {error}") from error
    return answer


class First(nn.Module):  # type: ignore[misc] # torch is not followed
    """The first output of a module that gives one, or several as a tuple or by name."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.eval()

    def forward(self, *inputs: Tensor) -> Tensor:
        """That output."""
        found = self.module(*inputs)
        if isinstance(found, Mapping):
            found = tuple(found.values())
        first: Tensor = found[0] if isinstance(found, tuple | list) else found
        return first


def _interface(example_inputs: Mapping[str, Tensor], *, free: bool) -> Interface:
    inputs = tuple(
        ArrayInput(
            name=name,
            dtype=str(tensor.numpy().dtype),
            shape=("batch", *tensor.shape[1:]) if free else tuple(tensor.shape),
        )
        for name, tensor in example_inputs.items()
    )
    return Interface(task=Task.ANY, inputs=ArrayInputs(inputs=inputs), outputs=(OUTPUT,))
