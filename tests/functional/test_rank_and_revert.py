"""A layer that int8 spoils is found, put back to float, and the artifact judged as any other.

Everything is real: the steps, the ranking, the accuracy run in a child process, the paired count.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.evidence import Evidence
from deployopt.core.examples import Examples, encode_examples
from deployopt.core.interface import ArrayInput, ArrayInputs, Interface, Task
from deployopt.core.measurement import AccuracyTrial, Split
from deployopt.core.recipe import StepContext
from deployopt.core.samples import Feed, encode_samples
from deployopt.device.accuracy import Evaluation, Judged, compare_with_reference, evaluate
from deployopt.device.device import ThisMachine
from deployopt.device.reference import reference_of
from deployopt.device.setup import EvaluationSet, Setup
from deployopt.steps.quantize import QuantizeDynamic, QuantizeStatic
from deployopt.steps.sensitivity import Probe, excluding, rank_layers

WIDTH, CLASSES, LAYERS = 128, 4, 5
INTERFACE = Interface(
    task=Task.IMAGE_CLASSIFICATION,
    inputs=ArrayInputs(inputs=(ArrayInput(name="x", dtype="float32", shape=("batch", WIDTH)),)),
    outputs=("logits",),
    labels=tuple("abcd"),
)
Spoil = Callable[[dict[str, np.ndarray]], None]
Judge = Callable[[Artifact], AccuracyTrial]


def loud_channel(arrays: dict[str, np.ndarray]) -> None:
    """The second layer gives one huge channel, of which the third makes nothing."""
    arrays["w1"][:, 7] = 0
    arrays["b1"][7] = 3000
    arrays["w2"][7] = 0


def loud_weight(arrays: dict[str, np.ndarray]) -> None:
    """One weight of the third layer is huge, and what it multiplies never says anything."""
    arrays["w1"][:, 7] = 0
    arrays["b1"][7] = -1
    arrays["w2"][7, 7] = 500


@pytest.fixture
def made(tmp_path: Path) -> Callable[[Spoil], Artifact]:
    """Five layers of MatMul, Add and Relu, `l0` to `l4`, and a head."""

    def build(spoil: Spoil) -> Artifact:
        random = np.random.default_rng(0)
        arrays = {}
        for at in range(LAYERS):
            arrays[f"w{at}"] = random.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH / 2)
            arrays[f"b{at}"] = random.standard_normal(WIDTH) / 10
        arrays["head"] = random.standard_normal((WIDTH, CLASSES))
        spoil(arrays)
        nodes, value = [], "x"
        for at in range(LAYERS):
            nodes += [
                make.make_node("MatMul", [value, f"w{at}"], [f"p{at}"], name=f"l{at}"),
                make.make_node("Add", [f"p{at}", f"b{at}"], [f"s{at}"], name=f"a{at}"),
                make.make_node("Relu", [f"s{at}"], [f"h{at}"], name=f"r{at}"),
            ]
            value = f"h{at}"
        nodes.append(make.make_node("MatMul", [value, "head"], ["logits"], name="head"))
        graph = make.make_graph(
            nodes,
            "layers",
            [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", WIDTH])],
            [make.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", CLASSES])],
            [
                onnx.numpy_helper.from_array(array.astype(np.float32), name)
                for name, array in arrays.items()
            ],
        )
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
        folder = tmp_path / "float"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        return Artifact(format=Format.ONNX, folder=folder, entry="model.onnx", digest="d")

    return build


def requests(seed: int, count: int) -> list[Feed]:
    random = np.random.default_rng(seed)
    return [{"x": random.standard_normal((1, WIDTH)).astype(np.float32)} for _ in range(count)]


def accuracy(tmp_path: Path, reference: Artifact) -> Judge:
    """Each artifact in a child of its own, against what the float one says."""
    suffix, data = encode_examples(Examples(inputs=requests(9, 300), labels=None))
    path = tmp_path / f"search{suffix}"
    path.write_bytes(data)
    examples = EvaluationSet(interface=INTERFACE, folder=tmp_path, examples=path)

    def answers(artifact: Artifact) -> Evaluation:
        setup = Setup(artifact="a" * 64, model=artifact.path, session=artifact.session, threads=1)
        return evaluate(setup, examples, tmp_path, ThisMachine())

    first = reference_of(INTERFACE, answers(reference).outputs)

    def judge(artifact: Artifact) -> AccuracyTrial:
        judged = Judged(artifact="a" * 64, split=Split.SEARCH, evidence=Evidence.TARGET,
            interface=INTERFACE, labels=None)  # fmt: skip
        return compare_with_reference(judged, first, answers(artifact))

    return judge


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        (loud_channel, QuantizeDynamic()),
        (loud_weight, QuantizeDynamic(per_channel=False)),
        (loud_weight, QuantizeStatic(per_channel=False, calibration="mse")),
    ],
)
def test_the_spoilt_layer_is_found_and_mended(
    spoil: Spoil,
    step: QuantizeDynamic | QuantizeStatic,
    made: Callable[[Spoil], Artifact],
    tmp_path: Path,
) -> None:
    source = made(spoil)
    samples = tmp_path / "samples.npz"
    samples.write_bytes(encode_samples(requests(1, 64)))

    def quantized(chosen: QuantizeDynamic | QuantizeStatic, name: str) -> Artifact:
        (tmp_path / name).mkdir()
        context = StepContext(workdir=tmp_path / name, interface=INTERFACE, samples=samples)
        chosen.requires(source, context)
        return chosen.run(source, context)

    judge = accuracy(tmp_path, source)
    spoilt = judge(quantized(step, "int8"))
    assert spoilt.lost > 60

    probe = Probe(output="logits", classifies=True, workdir=tmp_path, calibration=requests(1, 64))
    ranking = rank_layers(source, step, requests(2, 64), probe)
    worst, *others = ranking.layers
    assert worst.name.partition("/")[0] == "l2"
    assert worst.changed > 0.15
    assert worst.error > 30 * max(layer.error for layer in others if layer.name.startswith("l"))

    artifact = quantized(excluding(step, [worst.name]), "mended")
    mended = judge(artifact)
    assert mended.lost <= 6
    assert artifact.precision is Precision.MIXED
