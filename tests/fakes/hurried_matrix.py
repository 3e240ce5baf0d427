"""The whole command, its cells measured in a hurry: `python -m tests.fakes.hurried_matrix …`."""

import sys
from typing import Final

import pytest

from deployopt.cli.main import main
from deployopt.pipeline.matrix import processes, ray_executor
from tests.fakes import hurried, hurried_cell

COMMAND: Final = (sys.executable, "-m", "tests.fakes.hurried_matrix")
TEXT: Final = """
output = "out"
accept_predicted = true
[[model]]
name = "mlp"
model = "./mlp.onnx"
data = "./inputs.npz"
[[target]]
name = "here"
target = "./here.toml"
[[variant]]
name = "small"
budgets = { artifact_size = "1 KiB" }
[[variant]]
name = "usual"
"""
"""A matrix of two cells that need the same steps."""


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Do so in this process and in the cells'."""
    hurried.hurry(patch)
    patch.setattr(processes.Processes.__init__, "__defaults__", (
        hurried_cell.COMMAND, *(processes.Processes.__init__.__defaults__ or ())[1:],
    ))  # fmt: skip
    address, jobs, _, bounds = ray_executor.RayExecutor.__init__.__defaults__ or ()
    patch.setattr(ray_executor.RayExecutor.__init__, "__defaults__", (
        address, jobs, hurried_cell.COMMAND, bounds,
    ))  # fmt: skip


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        main(sys.argv[1:])
