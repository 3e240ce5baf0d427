"""The device path needs only the small install."""

import subprocess
import sys
from pathlib import Path

import deployopt.device

HEAVY = ("torch", "transformers", "onnx", "optimum", "huggingface_hub", "PIL", "pyarrow", "scipy")


def test_nothing_heavy_is_imported() -> None:
    names = [path.stem for path in Path(deployopt.device.__file__).parent.glob("*.py")]
    lines = [f"import deployopt.device.{name}" for name in names if name != "__init__"]
    lines += ["import sys", f"print([m for m in {HEAVY!r} if m in sys.modules])"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
