"""A layer that int8 spoils is found, put back to float, and the artifact judged as any other.

Everything is real: the steps, the ranking, the accuracy run in a child process, the paired count.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
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
from deployopt.steps.sensitivity import Probe, Quantize, excluding, rank_layers
from deployopt.steps.symmetric import QuantizeSymmetric
from tests.fakes.spoilt_layers import WIDTH, Spoil, loud_channel, loud_weight, spoilt_model

INTERFACE = Interface(
    task=Task.IMAGE_CLASSIFICATION,
    inputs=ArrayInputs(inputs=(ArrayInput(name="x", dtype="float32", shape=("batch", WIDTH)),)),
    outputs=("logits",),
    labels=tuple("abcd"),
)
Judge = Callable[[Artifact], AccuracyTrial]


@pytest.fixture
def made(tmp_path: Path) -> Callable[[Spoil], Artifact]:
    """A spoilt graph as an artifact."""

    def build(spoil: Spoil) -> Artifact:
        folder = tmp_path / "float"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(spoilt_model(spoil).SerializeToString())
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
        (loud_channel, QuantizeSymmetric(calibration="minmax")),
    ],
)
def test_the_spoilt_layer_is_found_and_mended(
    spoil: Spoil,
    step: Quantize,
    made: Callable[[Spoil], Artifact],
    tmp_path: Path,
) -> None:
    source = made(spoil)
    samples = tmp_path / "samples.npz"
    samples.write_bytes(encode_samples(requests(1, 64)))

    def quantized(chosen: Quantize, name: str) -> Artifact:
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
