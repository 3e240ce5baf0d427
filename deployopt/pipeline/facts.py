"""What a model costs, read from its config or its graph before anything is built."""

import json
from typing import Final

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import RefusedInputError
from deployopt.core.interface import ArrayInputs, ImageInputs, TextInputs
from deployopt.core.plan import Facts
from deployopt.core.samples import Feed
from deployopt.core.source import SourceModel
from deployopt.core.workload import Workload
from deployopt.planning.encoders import facts_from_config

_CONVOLUTIONS: Final = frozenset({"conv3x3", "conv", "depthwise"})


def source_facts(source: SourceModel, workload: Workload, length: int | None) -> Facts | None:
    """The facts of the model as it came, for requests of `length` tokens.

    None for a family that no closed form is known of: its exported graph is counted instead.
    """
    if source.artifact.format is Format.ONNX:
        return graph_facts(source.artifact, source, workload, length)
    path = source.artifact.folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise RefusedInputError(f"{path} is not JSON: {error}.") from error
    return facts_from_config(config, workload, length)


def graph_facts(
    artifact: Artifact, source: SourceModel, workload: Workload, length: int | None
) -> Facts:
    """The facts of a graph, its free dimensions filled in with the workload's."""
    from deployopt.graph.counting import facts_from_graph

    return facts_from_graph(artifact.path, request_dims(source, workload, length))


def request_dims(source: SourceModel, workload: Workload, length: int | None) -> dict[str, int]:
    """What stands for each free dimension of a graph: the batch first, then the length."""
    inputs = source.interface.inputs
    dims = {"batch": workload.batch, "length": length or 1, "sequence": length or 1}
    if isinstance(inputs, ArrayInputs):
        for one in inputs.inputs:
            free = [(i, d) for i, d in enumerate(one.shape) if isinstance(d, str)]
            dims |= {str(d): workload.batch if i == 0 else (length or 1) for i, d in free}
    return dims


def request_length(feeds: list[Feed], source: SourceModel, quantile: float) -> int | None:
    """Tokens of a request at this quantile of the real inputs; None where inputs are no texts."""
    if not isinstance(source.interface.inputs, TextInputs) or not feeds:
        return None
    lengths = sorted(next(iter(feed.values())).shape[1] for feed in feeds)
    return int(lengths[min(len(lengths) - 1, int(quantile * len(lengths)))])


def is_convolutional(source: SourceModel, facts: Facts | None) -> bool:
    """Whether most of the work is convolutions; image models of no known form are taken to be."""
    if facts is None:
        return isinstance(source.interface.inputs, ImageInputs)
    macs = sum(o.macs * o.count for o in facts.operations)
    convolved = sum(o.macs * o.count for o in facts.operations if o.kind in _CONVOLUTIONS)
    return convolved > macs / 2
