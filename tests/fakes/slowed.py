"""Bundles made from another one: the same answers later, or wrong ones."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from deployopt.store.digests import file_entry
from deployopt.store.publishing import publish_bundle
from deployopt.store.verifying import verify_bundle

SIDE = 256


def slowed(bundle: Path, destination: Path, workdir: Path, products: int = 40) -> Path:
    """A copy whose graph makes so many matrix products more, and adds their sum times nothing.

    The matrix is made when the graph is opened, so that the file hardly grows.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph, name = _renamed(bundle)
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [1e-4])
    nodes = [
        helper.make_node("ReduceMean", ["slow.plain"], ["slow.level"], keepdims=0),
        helper.make_node("ConstantOfShape", ["slow.shape"], ["slow.matrix"], value=value),
        helper.make_node("Mul", ["slow.matrix", "slow.level"], ["slow.0"]),
    ]
    nodes += [
        helper.make_node("MatMul", [f"slow.{k}", "slow.matrix"], [f"slow.{k + 1}"])
        for k in range(products)
    ]
    nodes += [
        helper.make_node("ReduceMean", [f"slow.{products}"], ["slow.mean"], keepdims=0),
        helper.make_node("Mul", ["slow.mean", "slow.nothing"], ["slow.added"]),
        helper.make_node("Add", ["slow.plain", "slow.added"], [name]),
    ]
    graph.graph.node.extend(nodes)
    shape = numpy_helper.from_array(np.array([SIDE, SIDE], np.int64), "slow.shape")
    nothing = numpy_helper.from_array(np.array(0.0, np.float32), "slow.nothing")
    graph.graph.initializer.extend([shape, nothing])
    return _sealed(bundle, graph, destination, workdir)


def negated(bundle: Path, destination: Path, workdir: Path) -> Path:
    """A copy that answers the opposite."""
    from onnx import helper

    graph, name = _renamed(bundle)
    graph.graph.node.append(helper.make_node("Neg", ["slow.plain"], [name]))
    return _sealed(bundle, graph, destination, workdir)


def _renamed(bundle: Path) -> tuple[Any, str]:
    """The graph with its output under another name, and the name that is free now."""
    import onnx

    graph = onnx.load(str(bundle / verify_bundle(bundle).model))
    name = graph.graph.output[0].name
    for node in graph.graph.node:
        node.output[:] = ["slow.plain" if output == name else output for output in node.output]
    return graph, name


def _sealed(bundle: Path, graph: Any, destination: Path, workdir: Path) -> Path:
    import onnx

    manifest = verify_bundle(bundle)
    model = workdir / f"{destination.name}.onnx"
    onnx.save(graph, str(model))
    paths = {entry.path: bundle / entry.path for entry in manifest.files} | {manifest.model: model}
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    changed = msgspec.structs.replace(
        manifest,
        name=f"{manifest.name}-{destination.name}",
        artifact=digest,
        bundle_digest=digest,
        files=tuple(file_entry(path, name) for name, path in sorted(paths.items())),
    )
    publish_bundle(paths, changed, destination)
    return destination
