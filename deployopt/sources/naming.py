"""What a model's name says that it is: a path, or else an alias; `hub:` is told before."""

from pathlib import Path
from typing import Final

from deployopt.catalogue.data import DATA, SYNTHETIC, find_data
from deployopt.catalogue.models import DEMO, DEMO_CHAT, aliases
from deployopt.core.errors import UsageError
from deployopt.core.text import safe_text
from deployopt.sources.gguf_header import SUFFIX as GGUF
from deployopt.sources.hub_names import PREFIX
from deployopt.sources.placing import located

GRAPH: Final = ".onnx"
_SHOWN: Final = 200


def is_path(name: str) -> bool:
    """An alias goes before a folder of its name in the current one, which is written ./NAME."""
    if "/" in name or name.endswith((GRAPH, GGUF)):
        return True
    return name.casefold() not in aliases() and Path(name).exists()


def model_path(name: str) -> Path:
    """A folder, an `.onnx` or a `.gguf` file that is there.

    Raises:
        UsageError: it is not.
    """
    path = located(name)
    if not path.exists():
        on_hub = name.count("/") == 1 and not name.startswith((".", "/", "~"))
        hint = f" A model of the hub is written {PREFIX}{name}." if on_hub else ""
        raise UsageError(f"There is no file or folder {name!r}.{hint}")
    if not path.is_dir() and path.suffix not in (GRAPH, GGUF):
        raise UsageError(
            f"{name} is a file and no .onnx or .gguf file. Give the folder that holds config.json "
            "and model.safetensors, or such a file."
        )
    return path


def check_data_name(name: str) -> None:
    """Whether there is such data, before anything is fetched for it.

    Raises:
        UsageError: a path to nothing.
    """
    if (
        name in {DEMO, DEMO_CHAT, SYNTHETIC}
        or name.startswith(PREFIX)
        or find_data(name) is not None
    ):
        return
    if not located(name).exists():
        shown = ", ".join((DEMO, *(data.name for data in DATA)))
        raise UsageError(
            f"There is no data {safe_text(name, _SHOWN)!r}: no file, no folder, and none of "
            f"{shown}. Data of the hub is written hub:datasets/ORG/NAME."
        )
