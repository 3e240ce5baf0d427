"""Files that servers get stand alone."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.interface import ImageInputs
from deployopt.device import preparing
from deployopt.device.images import image_input
from deployopt.device.preparing.pixels import normalized

FOLDER = Path(preparing.__file__).parent
MODELS = FOLDER.parents[1] / "pipeline/exporting/triton_models"
ALLOWED = {"numpy", "tokenizers", "triton_python_backend_utils"} | sys.stdlib_module_names


@pytest.mark.parametrize(
    "path",
    [path for folder in (FOLDER, MODELS) for path in sorted(folder.glob("[a-z]*.py"))],
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_nothing_of_this_package_is_imported(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    names = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    names += [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert {name.partition(".")[0] for name in names} <= ALLOWED


def test_an_image_is_what_the_bundle_takes() -> None:
    image = np.random.default_rng(1).integers(0, 256, (31, 24, 3), dtype=np.uint8)
    wanted = ImageInputs(input_name="x", height=16, width=16, resize=18, mean=(0.5, 0.4, 0.3))
    assert normalized(image, wanted).shape == (3, 16, 16)
    assert np.array_equal(normalized(image, wanted), image_input(image, wanted))
    with pytest.raises(ValueError, match="takes 3 channels"):
        normalized(np.zeros((4, 4, 2), dtype=np.uint8), wanted)
