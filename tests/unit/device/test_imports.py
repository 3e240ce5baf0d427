"""The device path needs only the small install."""

import subprocess
import sys
from pathlib import Path

import deployopt.device

HEAVY = ("torch", "transformers", "onnx", "optimum", "huggingface_hub", "PIL", "pyarrow", "scipy")


def test_nothing_heavy_is_imported() -> None:
    package = Path(deployopt.device.__file__).parent
    modules = (path.relative_to(package).with_suffix("") for path in package.rglob("*.py"))
    names = [".".join(module.parts) for module in modules if module.name != "__init__"]
    assert "generating.decoder" in names
    lines = [f"import deployopt.device.{name}" for name in names]
    lines += ["import sys", f"print([m for m in {HEAVY!r} if m in sys.modules])"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
