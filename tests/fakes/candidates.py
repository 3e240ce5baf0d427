"""Sources, machines and candidates for the pipeline's decisions; nothing is run."""

from pathlib import Path

import msgspec

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.bundle import Origin
from deployopt.core.interface import ArrayInput, ArrayInputs, Interface, Task
from deployopt.core.recipe import Recipe
from deployopt.core.source import SourceModel
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.making import Made
from tests.fakes.results import accuracy, estimate, trial

MIB = 2**20


def source(
    *, form: Format = Format.TRANSFORMERS, precision: Precision = Precision.FP32
) -> SourceModel:
    """A model by what is known of it; its files are not there."""
    entry = "model.onnx" if form is Format.ONNX else "config.json"
    return SourceModel(
        name="some-model",
        artifact=Artifact(
            format=form, folder=Path("/nowhere"), entry=entry, digest="0" * 64, precision=precision
        ),
        interface=Interface(
            task=Task.ANY,
            inputs=ArrayInputs(inputs=(ArrayInput(name="x", dtype="float32", shape=("batch", 4)),)),
            outputs=("y",),
        ),
        origin=Origin(asked="some-model", resolved="some-model"),
    )


def candidate(
    name: str, median_s: float, *, size_mib: float = 64, lost: int = 0, proxy: bool = False
) -> Candidate:
    """One that ran: twelve rounds around `median_s`, `lost` of 1 200 answers gone wrong."""
    precision = Precision.FP32 if name == "float" else Precision.INT8
    recipe = Recipe(name=name, steps=())
    artifact = msgspec.structs.replace(source().artifact, precision=precision)
    return Candidate(
        recipe=recipe,
        made=Made(recipe=recipe, artifact=artifact, steps=()),
        accuracy=accuracy(lost, 0),
        trial=trial(name, median_s, proxy=proxy),
        size_bytes=int(size_mib * MIB),
        predictions={"latency_p95": estimate(median_s), "memory_peak": estimate(100 * MIB)},
    )
