"""Planning answers before anything heavy is imported."""

import subprocess
import sys

PROGRAM = """
import sys
from deployopt.planning import evaluation_size, fitting, operations, predict, target_schema, targets
assert len([targets.load_target(name) for name in targets.target_names()]) >= 13
heavy = {"torch", "transformers", "onnx", "onnxruntime", "optimum", "pandas", "scipy", "rich"}
print(sorted(heavy & set(sys.modules)))
"""


def test_nothing_heavy_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_targets_need_no_numpy() -> None:
    program = "import sys, deployopt.planning.targets; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
