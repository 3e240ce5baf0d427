"""A graph played node by node, so that what follows a node can be asked again and again.

A model and many requests go in. `advance` computes all that the nodes from a place on still need;
`tail` is the rest of the graph as a model of its own, whose inputs are those values.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from deployopt.core.errors import StepError
from deployopt.core.samples import Array, Feed
from deployopt.graph.running import RUN_ERRORS, Session
from deployopt.graph.sizes import tensor_bytes
from deployopt.graph.tensors import read_by

Weights: TypeAlias = Mapping[str, Array]
Open: TypeAlias = Callable[[onnx.ModelProto, Weights], Session]
"""Opens a model whose large weights are beside it."""
_SMALL_BYTES: Final = 1024


class Graph:
    """A model whose large weights were taken out once, for every part that is cut of it."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = model.graph.node
        self._model = model
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self._large: Weights = {
            name: onnx.numpy_helper.to_array(tensor)
            for name, tensor in self._tensors.items()
            if tensor.data_type == onnx.TensorProto.FLOAT and tensor_bytes(tensor) > _SMALL_BYTES
        }
        self._outputs = {value.name: value for value in model.graph.output}
        self.inputs = frozenset(value.name for value in model.graph.input)

    def needed(self, place: int, output: str) -> set[str]:
        """Values from before `place` that the nodes from there on, or the output, read."""
        read = {name for node in self.nodes[place:] for name in read_by(node)} | {output}
        made = {name for node in self.nodes[:place] for name in node.output}
        return read & (made | self.inputs) - self._tensors.keys()

    def cut(
        self,
        nodes: Sequence[onnx.NodeProto],
        given: Feed,
        outputs: Sequence[str],
        inside: Collection[str] = (),
    ) -> tuple[onnx.ModelProto, Weights]:
        """These nodes as a model that takes what is `given`; weights `inside` stay in it."""
        read = {name for node in nodes for name in read_by(node)} | set(outputs)
        beside = {name: self._large[name] for name in read & self._large.keys() - set(inside)}
        graph = onnx.helper.make_graph(
            nodes,
            "cut",
            [_typed(name, given[name]) for name in sorted(read & given.keys())],
            [self._outputs.get(name) or onnx.ValueInfoProto(name=name) for name in outputs],
        )
        kept = sorted(read & self._tensors.keys() - beside.keys())
        graph.initializer.extend(self._tensors[name] for name in kept)
        graph.value_info.extend(self._model.graph.value_info)
        model = onnx.helper.make_model(
            graph, opset_imports=self._model.opset_import, ir_version=self._model.ir_version
        )
        model.functions.extend(self._model.functions)
        return model, beside


class Playing:
    """Values of each request at one place of the graph; it only moves on."""

    def __init__(self, graph: Graph, output: str, feeds: Sequence[Feed], start: Open) -> None:
        self.graph = graph
        self.place = 0
        self.most_bytes = 0
        """Held of one request, on average, where it was most."""
        self._output = output
        self._open = start
        self._values = [
            {name: np.asarray(array) for name, array in feed.items() if name in graph.inputs}
            for feed in feeds
        ]

    def advance(self, place: int) -> None:
        """Compute what the nodes from `place` on read of what the ones before it give.

        Raises:
            StepError: a request does not run.
        """
        needed = self.graph.needed(place, self._output)
        missing = sorted(needed - self._values[0].keys())
        if missing:
            nodes = self.graph.nodes[self.place : place]
            made = self._run(*self.graph.cut(nodes, self._values[0], missing), missing)
            for values, found in zip(self._values, made, strict=True):
                values.update(zip(missing, found, strict=True))
        for values in self._values:
            for name in values.keys() - needed:
                del values[name]
        self.place = place
        held = sum(array.nbytes for values in self._values for array in values.values())
        self.most_bytes = max(self.most_bytes, held // len(self._values))

    def tail(self, inside: Collection[str] = ()) -> tuple[onnx.ModelProto, Weights]:
        """The nodes from here on, as a model that gives the output."""
        nodes = self.graph.nodes[self.place :]
        return self.graph.cut(nodes, self._values[0], [self._output], inside)

    def answers(self, model: onnx.ModelProto, beside: Weights) -> list[Array]:
        """The output of each request through such a rest of the graph.

        Raises:
            StepError: a request does not run.
        """
        return [found[0] for found in self._run(model, beside, [self._output])]

    def _run(
        self, model: onnx.ModelProto, beside: Weights, outputs: Sequence[str]
    ) -> list[list[Array]]:
        session = self._open(model, beside)
        asked = [given.name for given in session.get_inputs()]
        try:
            return [
                session.run(outputs, {name: values[name] for name in asked})
                for values in self._values
            ]
        except RUN_ERRORS as error:
            said = " ".join(str(error).split())[:300]
            raise StepError(f"A request does not run: {said}. Check the data.") from error


def _typed(name: str, array: Array) -> onnx.ValueInfoProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, None)
