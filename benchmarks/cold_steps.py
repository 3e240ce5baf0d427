"""Our export, optimize and quantize as one process, for bench_cold_build.py.

Usage: cold_steps.py MODEL_FOLDER OUTPUT_FOLDER [FLOAT_ONNX]

With FLOAT_ONNX, an optimized float model as the store keeps it, only the quantizing is left.
"""

import sys
from pathlib import Path

import numpy as np

from deployopt.core.artifact import Artifact, Format
from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.core.recipe import Step, StepContext
from deployopt.core.samples import Array, encode_samples
from deployopt.steps.export import Export
from deployopt.steps.optimize import Optimize
from deployopt.steps.quantize import QuantizeDynamic


def main() -> None:
    """Run the steps one after another, each in its own folder."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    artifact = Artifact(format=Format.TRANSFORMERS, folder=folder, entry="config.json", digest="")
    recipe: tuple[Step, ...] = (Export(), Optimize(), QuantizeDynamic())
    if len(sys.argv) > 3:
        given = Path(sys.argv[3])
        artifact = Artifact(format=Format.ONNX, folder=given.parent, entry=given.name, digest="")
        recipe = recipe[2:]
    interface = Interface(
        task=Task.TEXT_CLASSIFICATION,
        inputs=TextInputs(max_length=512),
        outputs=("logits",),
        labels=("negative", "positive"),
    )
    random = np.random.default_rng(0)
    samples = out / "samples.npz"
    samples.write_bytes(encode_samples([sample(random) for _ in range(8)]))
    for step in recipe:
        context = StepContext(
            workdir=out / step.name, interface=interface, threads=2, samples=samples
        )
        context.workdir.mkdir()
        step.requires(artifact, context)
        artifact = step.run(artifact, context)


def sample(random: np.random.Generator) -> dict[str, Array]:
    """A request of a short text's length."""
    length = int(random.integers(8, 40))
    ids = random.integers(5, 30_000, (1, length))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


if __name__ == "__main__":
    main()
