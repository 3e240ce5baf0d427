"""An artifact that came from another machine is looked at before it counts as a step's result.

In: its format and its files, whose digests agree with the record. Out: nothing, or what is wrong.
The digests say that nothing was altered on the way, not who wrote it: so graphs are opened in a
confined process first, configs may not name code, and engines, which are native code, never come.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from deployopt.core.artifact import Format, SessionOptions
from deployopt.core.errors import RefusedInputError
from deployopt.device.generating.config import CONFIG, read_genai_config
from deployopt.device.session_entries import allowed_entries
from deployopt.sources.checks import is_pickled, read_object

_CODE: Final = (".py", ".so", ".plan", ".engine")
_CONFIGS: Final = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer_config.json",
)


def may_be_shared(form: Format) -> bool:
    """Whether steps' results of this format are exchanged at all."""
    return form in _CHECKS


def check_session(form: Format, session: SessionOptions) -> None:
    """Raise RefusedInputError unless the runtime may be told to open it like this."""
    if form is not Format.OPENVINO:
        allowed_entries(session)
    elif session.config_entries:
        raise RefusedInputError("It names settings of OpenVINO, which no step of ours does.")


def check_received(form: Format, folder: Path, entry: str) -> None:
    """Raise RefusedInputError or UsageError unless the files may be taken."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    if entry not in names:
        raise RefusedInputError(f"It has no file {entry!r}.")
    code = [name for name in names if name.endswith(_CODE) or is_pickled(Path(name).name)]
    if form is not Format.OPENVINO and code:
        raise RefusedInputError(f"{code[0]!r} could be code, and was not opened.")
    _CHECKS[form](folder)


def _check_onnx(folder: Path) -> None:
    from deployopt.graph.checking import external_in_child

    for path in sorted(folder.rglob("*.onnx")):
        external_in_child(path)


def _check_transformers(folder: Path) -> None:
    for name in _CONFIGS:
        if (folder / name).is_dir():
            raise RefusedInputError(f"{name!r} is a folder, and would be read.")
        if (folder / name).exists():
            read_object(folder / name)


def _check_genai(folder: Path) -> None:
    read_genai_config(folder / CONFIG)
    _check_onnx(folder)


def _check_openvino(folder: Path) -> None:
    strange = [path.name for path in folder.iterdir() if path.suffix not in {".xml", ".bin"}]
    if strange:
        raise RefusedInputError(f"{strange[0]!r} is no part of an OpenVINO model.")


_CHECKS: Final[Mapping[Format, Callable[[Path], None]]] = {
    Format.ONNX: _check_onnx,
    Format.TRANSFORMERS: _check_transformers,
    Format.GENAI: _check_genai,
    Format.OPENVINO: _check_openvino,
}
