"""How many weights of which type a model has, from the headers of its safetensors files alone.

In: a folder, or the names of its files. Out: `StoredWeights`, or None where there is no such file.
What belongs together: `model.safetensors`; else the parts that the index lists; else numbered
parts, all of them; else every safetensors file that is no adapter. No weight is read.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.weights import StoredWeights
from deployopt.sources.checks import (
    CONFIG_MAX_BYTES,
    INDEX,
    check_regular,
    is_pickled,
    read_vocabulary,
)
from deployopt.sources.weights import Tensor, is_pointer, read_header

SINGLE: Final = "model.safetensors"
SUFFIX: Final = ".safetensors"
PARTS_MAX: Final = 2_000
TENSORS_MAX: Final = 1_000_000
_NUMBERED: Final = re.compile(r"(?P<stem>.+)-(?P<at>\d{5})-of-(?P<count>\d{5})\.safetensors")
# Adapters hold no model; consolidated files hold the same weights as the parts beside them.
_LEFT_OUT: Final = ("adapter_model", "consolidated")
_NAMED: Final = 5


def stored_weights(folder: Path) -> StoredWeights | None:
    """The weights of a local folder by type; None where it has no safetensors file.

    Raises:
        RefusedInputError: a header that lies, a link out of the folder, a tensor twice.
        UsageError: a part is missing, or is a pointer of Git LFS.
    """
    names = [child.name for child in folder.iterdir()]
    index = _read_index(folder / INDEX) if INDEX in names and SINGLE not in names else None
    wanted = weight_files(names, str(folder), index)
    if not wanted:
        return None
    for name in wanted:
        check_regular(folder / name, folder)
    headers = {name: read_header((folder / name).resolve()) for name in wanted}
    return counted(headers, str(folder), index)


def pointers(folder: Path) -> tuple[str, ...]:
    """Names of weights that Git LFS has not fetched."""
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        check_regular(path, folder)
        with path.open("rb") as stream:
            if is_pointer(stream.read(64)):
                found.append(path.name)
    return tuple(found)


def pickled_files(names: Iterable[str]) -> tuple[str, ...]:
    """Names of weights that only code could read."""
    return tuple(sorted(name for name in names if is_pickled(name)))


def weight_files(
    names: Iterable[str], where: str, index: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """The files that hold a model's weights together, sorted; none where there are none.

    Raises:
        UsageError: a part is missing.
        RefusedInputError: the index names a file elsewhere, or too many.
    """
    there = {name for name in names if name.endswith(SUFFIX) and "/" not in name}
    if SINGLE in there:
        return (SINGLE,)
    if index is not None:
        wanted = set(index.values())
    else:
        there = {name for name in there if not name.startswith(_LEFT_OUT)}
        wanted = _all_parts(there)
    if len(wanted) > PARTS_MAX:
        raise RefusedInputError(f"{where} has its weights in {len(wanted)} files.")
    missing = sorted(wanted - there)
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise UsageError(
            f"{where} lacks parts of the weights: {', '.join(missing[:_NAMED])}{more}. Fetch the "
            "folder again, or remove the weights to go by config.json alone."
        )
    return tuple(sorted(wanted))


def counted(
    headers: Mapping[str, Mapping[str, Tensor]], where: str, index: Mapping[str, str] | None = None
) -> StoredWeights:
    """The headers of all files as one record.

    Raises:
        RefusedInputError: a tensor is in two files, or not where the index says.
    """
    elements: dict[str, int] = {}
    tensors: dict[str, tuple[int, ...]] = {}
    size = 0
    for file, header in headers.items():
        for name, tensor in header.items():
            if name in tensors:
                raise RefusedInputError(f"{where} holds the tensor {name[:100]!r} in two files.")
            if index is not None and index.get(name) not in (None, file):
                raise RefusedInputError(f"{where}: {INDEX} has {name[:100]!r} in another file.")
            tensors[name] = tensor.shape
            elements[tensor.dtype] = elements.get(tensor.dtype, 0) + tensor.elements
            size += tensor.data_offsets[1] - tensor.data_offsets[0]
        if len(tensors) > TENSORS_MAX:
            raise RefusedInputError(f"{where} lists more than {TENSORS_MAX} tensors.")
    lost = sorted(set(index or ()) - set(tensors))
    if lost:
        raise RefusedInputError(f"{where}: {INDEX} lists {lost[0][:100]!r}, which no part holds.")
    return StoredWeights(elements=elements, bytes=size, tensors=tensors, files=len(headers))


def _read_index(path: Path) -> dict[str, str]:
    check_regular(path, path.parent)
    if path.stat().st_size > CONFIG_MAX_BYTES:
        raise RefusedInputError(f"{path} has more than {CONFIG_MAX_BYTES} bytes.")
    return index_of(read_vocabulary(path), str(path))


def index_of(tree: Mapping[str, object], where: str) -> dict[str, str]:
    """Tensor to file, from the content of an index.

    Raises:
        RefusedInputError: it lists no files, or files that are not beside it.
    """
    listed = tree.get("weight_map")
    found = dict(listed) if isinstance(listed, dict) else {}
    odd = [name for name in found.values() if not isinstance(name, str)]
    bad = odd or sorted(name for name in set(found.values()) if not _plain(name))
    if not found or bad:
        what = f"names {str(bad[0])[:100]!r}" if bad else "lists no files"
        raise RefusedInputError(f"{where} {what}; an index lists safetensors files beside it.")
    return found


def _plain(name: str) -> bool:
    return name.endswith(SUFFIX) and not any(sign in name for sign in "/\\\0")


def _all_parts(names: set[str]) -> set[str]:
    """The names, and with a numbered one all that its number says there are."""
    wanted = set(names)
    for name in names:
        part = _NUMBERED.fullmatch(name)
        if part is not None:
            count = min(int(part["count"]), PARTS_MAX + 1)
            stem, end = part["stem"], part["count"]
            wanted |= {f"{stem}-{at:05d}-of-{end}{SUFFIX}" for at in range(1, count + 1)}
    return wanted
