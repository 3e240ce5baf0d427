"""Small bundles for an ARM target: one layer of products, in floating point or in 8-bit integers.

Large enough that an inference is mostly arithmetic, so that its instructions show which.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from deployopt.core.artifact import Precision, SessionOptions
from deployopt.core.budget import Budget
from deployopt.core.bundle import Lineage, Manifest, Origin
from deployopt.core.codec import encode_pretty
from deployopt.core.examples import Examples, encode_examples
from deployopt.core.interface import ArrayInput, ArrayInputs, Interface, Task
from deployopt.core.samples import Feed
from deployopt.core.verdict import Outcome, Verdict
from deployopt.device.accuracy import evaluate
from deployopt.device.device import ThisMachine
from deployopt.device.reference import encode_reference, reference_of
from deployopt.device.setup import EvaluationSet, Setup
from deployopt.planning.targets import load_target
from deployopt.store.digests import entries_digest, file_entry
from deployopt.store.publishing import publish_bundle

WIDTH, CLASSES = 256, 4
LABELS = ("one", "two", "three", "four")


def _interface(rows: int) -> Interface:
    given = ArrayInput(name="x", dtype="float32", shape=(1, rows, WIDTH))
    return Interface(
        task=Task.ANY, inputs=ArrayInputs(inputs=(given,)), outputs=("logits",), labels=LABELS
    )


def write_bundle(folder: Path, *, int8: bool, rows: int = 48, examples: int = 12) -> Path:
    """A bundle for the Raspberry Pi 4, its reference the float form; `folder/bundle`."""
    folder.mkdir()
    models = {form: folder / f"{form}.onnx" for form in ("float", "int8")}
    for form, path in models.items():
        path.write_bytes(model_bytes(int8=form == "int8", rows=rows))
    interface = _interface(rows)
    suffix, data = encode_examples(_examples(examples, rows))
    given = folder / f"examples{suffix}"
    given.write_bytes(data)
    shown = EvaluationSet(interface=interface, folder=folder, examples=given)
    float_setup = Setup(artifact="a" * 64, model=models["float"], threads=1, outputs=("logits",))
    answers = evaluate(float_setup, shown, folder, ThisMachine()).outputs
    target = load_target("rpi4")
    verdict = Verdict(
        target=target.name,
        artifact="a" * 64,
        outcome=Outcome.ACCEPTED,
        provisional=False,
        checks=(),
    )
    origin = Origin(asked="one layer", resolved="one layer")
    contents = {
        "model/model.onnx": models["int8" if int8 else "float"].read_bytes(),
        "target.json": encode_pretty(target),
        "budgets.json": encode_pretty((Budget(metric="artifact_size", limit=2.0**30),)),
        "verdict.json": encode_pretty(verdict),
        "lineage.json": encode_pretty(Lineage(model=origin, data=origin, recipe="as it is")),
        f"gate/examples{suffix}": data,
        "gate/reference.npz": encode_reference(reference_of(interface, answers)),
    }
    return _publish(folder, contents, interface, Precision.INT8 if int8 else Precision.FP32)


def model_bytes(*, int8: bool, rows: int) -> bytes:
    """Rows times a square matrix, rectified, averaged, and four classes of it."""
    lot = np.random.default_rng(5)
    square = lot.normal(size=(WIDTH, WIDTH)).astype(np.float32) / 16
    # 7 bits: with 8 the sums of an x86 without VNNI saturate, and are no measure for ARM's.
    scale = float(np.abs(square).max() / 63)
    head = lot.normal(size=(WIDTH, CLASSES)).astype(np.float32)
    weights = {"head": head, "scale": np.float32(scale), "square": square}
    product = [helper.make_node("MatMul", ["x", "square"], ["wide"])]
    if int8:
        weights["square"] = np.round(square / scale).astype(np.int8)
        product = [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["small", "step", "zero"]),
            helper.make_node("MatMulInteger", ["small", "square", "zero"], ["sums"]),
            helper.make_node("Cast", ["sums"], ["whole"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["step", "scale"], ["steps"]),
            helper.make_node("Mul", ["whole", "steps"], ["wide"]),
        ]
    nodes = [
        *product,
        helper.make_node("Relu", ["wide"], ["active"]),
        helper.make_node("ReduceMean", ["active"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "head"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, rows, WIDTH])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    stamps = [helper.make_opsetid("", 17)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=stamps, ir_version=8)
    return bytes(model.SerializeToString())


def _examples(count: int, rows: int) -> Examples:
    lot = np.random.default_rng(6)
    feeds: list[Feed] = [
        {"x": lot.normal(size=(1, rows, WIDTH)).astype(np.float32)} for _ in range(count)
    ]
    return Examples(inputs=feeds, labels=tuple(int(x) for x in lot.integers(0, CLASSES, count)))


def _publish(
    folder: Path, contents: dict[str, bytes], interface: Interface, precision: Precision
) -> Path:
    made = folder / "made"
    made.mkdir()
    paths = {}
    for number, (name, data) in enumerate(sorted(contents.items())):
        paths[name] = made / str(number)
        paths[name].write_bytes(data)
    entries = tuple(file_entry(path, name) for name, path in sorted(paths.items()))
    manifest = Manifest(
        name=f"layer-{precision}",
        made_with="test",
        target="rpi4",
        outcome="accepted",
        artifact="a" * 64,
        model="model/model.onnx",
        opset=17,
        precision=precision,
        session=SessionOptions(),
        threads=1,
        interface=interface,
        labels_sha256="0" * 64,
        bundle_digest=entries_digest(entries),
        deployed=("model/model.onnx",),
        files=entries,
    )
    bundle = folder / "bundle"
    publish_bundle(paths, manifest, bundle)
    return bundle
