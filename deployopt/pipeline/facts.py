"""What a model costs, read from its config or its graph before anything is built."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from deployopt.core import additive
from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import ImageInputs, PairInputs, Task, TextInputs
from deployopt.core.plan import Facts
from deployopt.core.source import SourceModel
from deployopt.core.workload import Workload
from deployopt.pipeline.drawing import pipeline_shape
from deployopt.planning.architectures import read_architecture
from deployopt.planning.architectures.reading import FAMILIES
from deployopt.planning.architectures.towers import LABELS
from deployopt.planning.operations import facts_of

if TYPE_CHECKING:  # the name of a type should not cost a person numpy's import
    from deployopt.core.samples import Feed

RequestShapes = Mapping[str, tuple[int, ...]]
"""Input name to the shape of one request."""


def source_facts(
    source: SourceModel, workload: Workload, shapes: RequestShapes | None
) -> Facts | None:
    """The facts of the model as it came, for requests of these shapes.

    None for a family that no closed form is known of: its exported graph is counted instead.
    """
    if source.artifact.format is Format.ONNX:
        return graph_facts(source.artifact, workload, shapes)
    if source.artifact.format is Format.DIFFUSERS:
        return facts_of(pipeline_shape(source.artifact.folder), workload)
    path = source.artifact.folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise RefusedInputError(f"{path} is not JSON: {error}.") from error
    if not isinstance(config, dict) or str(config.get("model_type")) not in FAMILIES:
        return None
    if source.interface.task is Task.ZERO_SHOT:
        config |= {LABELS: len(source.interface.labels)}
    try:
        architecture = read_architecture(config)
    except UsageError:
        return None
    return facts_of(architecture, workload, _length(source, shapes))


def graph_facts(artifact: Artifact, workload: Workload, shapes: RequestShapes | None) -> Facts:
    """The facts of a graph, its free dimensions filled in with those of a request."""
    return file_facts(artifact.path, workload, shapes)


def file_facts(path: Path, workload: Workload, shapes: RequestShapes | None) -> Facts:
    """The same of an `.onnx` file; data outside it is not read."""
    from deployopt.graph.counting import facts_from_graph
    from deployopt.graph.describing import describe_onnx

    dims: dict[str, int] = {}
    asked: list[str] = []
    for one in describe_onnx(path).inputs:
        known = (shapes or {}).get(one.name, ())
        sizes = [*known, *[1] * len(one.shape)]
        sizes[:1] = [workload.batch]
        free = {name: sizes[at] for at, name in enumerate(one.shape) if isinstance(name, str)}
        dims |= {name: size for name, size in free.items() if name not in dims}
        if free and known:
            asked.append(f"{one.name} {[dims.get(str(size), size) for size in one.shape]}")
    facts = facts_from_graph(path, dims)
    if not asked:
        return facts
    return msgspec.structs.replace(facts, basis=f"{facts.basis}, with {', '.join(asked)}")


def request_shapes(
    requests: "Sequence[Feed]", source: SourceModel, workload: Workload, quantile: float
) -> RequestShapes | None:
    """The shapes of the request at this quantile of the real ones by size; None without any.

    A workload that fixes the length of texts decides it.
    """
    if not requests:
        return None
    order = sorted(requests, key=lambda request: sum(a.size for a in request.values()))
    typical = order[min(len(order) - 1, int(quantile * len(order)))]
    shapes = {name: tuple(array.shape) for name, array in typical.items()}
    texts = _texts(source)
    if texts is None or workload.length == "real":
        return shapes
    named = (name for name in texts.input_names if name in shapes)
    return shapes | {name: (shapes[name][0], workload.length) for name in named}


def _length(source: SourceModel, shapes: RequestShapes | None) -> int | None:
    """Tokens of a request; None where inputs are no texts."""
    texts = _texts(source)
    return None if texts is None or not shapes else shapes[texts.input_names[0]][1]


def _texts(source: SourceModel) -> TextInputs | None:
    inputs = source.interface.inputs
    if isinstance(inputs, PairInputs):
        return inputs.text
    return inputs if isinstance(inputs, TextInputs) else None


def is_convolutional(source: SourceModel, facts: Facts | None) -> bool:
    """Whether most of the work is convolutions; image models of no known form are taken to be."""
    if facts is None:
        return isinstance(source.interface.inputs, ImageInputs)
    return additive.is_convolutional(facts.operations)
