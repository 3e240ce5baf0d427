"""What a model's name says that it is: a path, or else an alias; `hub:` is told before."""

from pathlib import Path
from typing import Final

from deployopt.catalogue.models import aliases
from deployopt.core.errors import UsageError
from deployopt.sources.hub_names import PREFIX

GRAPH: Final = ".onnx"


def is_path(name: str) -> bool:
    """An alias goes before a folder of its name in the current one, which is written ./NAME."""
    if "/" in name or name.endswith(GRAPH):
        return True
    return name.casefold() not in aliases() and Path(name).exists()


def model_path(name: str) -> Path:
    """A folder or an `.onnx` file that is there.

    Raises:
        UsageError: it is not.
    """
    path = Path(name).expanduser()
    if not path.exists():
        on_hub = name.count("/") == 1 and not name.startswith((".", "/", "~"))
        hint = f" A model of the hub is written {PREFIX}{name}." if on_hub else ""
        raise UsageError(f"There is no file or folder {name!r}.{hint}")
    if not path.is_dir() and path.suffix != GRAPH:
        raise UsageError(
            f"{name} is a file and no .onnx file. Give the folder that holds config.json and "
            "model.safetensors, or an .onnx file."
        )
    return path
