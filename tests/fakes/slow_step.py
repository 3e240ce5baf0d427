"""A process that makes one slow step in a store: `python -m tests.fakes.slow_step STORE SECONDS`.

It says `begun` when the step runs, and `made` or `found` with the digest at its end. Nobody begins
before a line comes on its stdin.
"""

import sys
import time
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.interface import ArrayInput, ArrayInputs, Interface, Task
from deployopt.core.recipe import Recipe, StepContext
from deployopt.pipeline.making import Workbench, make
from deployopt.store.store import Store

X: Final = ArrayInput(name="x", dtype="float32", shape=(1, 2))


class Slow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Writes a file after a while."""

    name: ClassVar[str] = "slow"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ()
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    seconds: float

    def requires(self, source: Artifact, context: StepContext) -> None:
        """It always can."""

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write model.onnx."""
        say("begun")
        time.sleep(self.seconds)
        (context.workdir / "model.onnx").write_bytes(b"slow")
        return msgspec.structs.replace(source, folder=context.workdir, entry="model.onnx")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(store: Path, seconds: float) -> None:
    source = Artifact(
        format=Format.ONNX, folder=store, entry="m", digest="0" * 64, precision=Precision.FP32
    )
    with Store(store) as opened:
        bench = Workbench(
            store=opened,
            interface=Interface(task=Task.ANY, inputs=ArrayInputs(inputs=(X,)), outputs=("y",)),
            samples=None,
            samples_digest="",
            seed=0,
            threads=1,
        )
        say("ready")
        sys.stdin.readline()
        recipe = Recipe(name="slow", steps=(Slow(seconds=seconds),))
        made = make(recipe, source, bench, lambda share, words: None)  # noqa: ARG005 -- as Told
        say(f"{'found' if made.steps[0].reused else 'made'} {made.artifact.digest}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
