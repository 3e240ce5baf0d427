"""An `.onnx` file as a model: described by its own inputs and outputs, or by a file beside it.

In: the path of `model.onnx`, and `model.interface.json` beside it where the maker wrote one. Out:
the interface and the names of all files that belong to it. Without the interface file the outputs
are compared with the reference's and no label is known; what an input means is never guessed.

The interface file follows core/interface.py. A classifier of images, for example:

    {"task": "image-classification", "outputs": ["logits"], "labels": ["cat", "dog"],
     "inputs": {"type": "image", "input_name": "pixels", "height": 224, "width": 224}}

A classifier of texts names its tokenizer, a file beside the model:

    {"task": "text-classification", "outputs": ["logits"], "labels": ["no", "yes"],
     "inputs": {"type": "text", "tokenizer": "tokenizer.json", "max_length": 256}}
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.errors import MissingExtraError, UsageError
from deployopt.core.explain import explain
from deployopt.core.interface import (
    ArrayInput,
    ArrayInputs,
    ImageInputs,
    Interface,
    Task,
    TextInputs,
)
from deployopt.sources.checks import check_regular

INTERFACE_MAX_BYTES: Final = 4 * 2**20
_KINDS: Final[dict[Task, type]] = {
    Task.TEXT_CLASSIFICATION: TextInputs,
    Task.IMAGE_CLASSIFICATION: ImageInputs,
    Task.ANY: ArrayInputs,
}
_CLASSES_MIN: Final = 2
_LOGITS_RANK: Final = 2


def interface_path(path: Path) -> Path:
    """`model.interface.json` for `model.onnx`."""
    return path.with_name(f"{path.stem}.interface.json")


def onnx_files(path: Path) -> tuple[str, ...]:
    """The names of all files of the model, relative to its folder; the graph is not checked.

    Raises:
        RefusedInputError: the file may not be opened.
        UsageError: the interface file is malformed.
        MissingExtraError: the packages for building are not installed.
    """
    try:
        from deployopt.graph.checking import external_in_child
    except ModuleNotFoundError as error:
        raise MissingExtraError("Reading an ONNX model", "build") from error

    files = [path.name, *external_in_child(path)]
    beside = interface_path(path)
    if beside.exists():
        files.append(beside.name)
        inputs = read_interface(beside).inputs
        if isinstance(inputs, TextInputs):
            files.append(_tokenizer_name(inputs, path.parent, beside))
    return tuple(files)


def check_graph(path: Path) -> None:
    """Raise RefusedInputError unless the graph is borne by its readers, in a confined process."""
    from deployopt.graph.reading import check_onnx

    check_onnx(path)


def onnx_precision(path: Path) -> Precision:
    """The precision of the weights that do the work."""
    from deployopt.graph.precision import precision_found

    return precision_found(path)


def read_onnx(path: Path) -> Interface:
    """What the model takes and gives.

    Raises:
        RefusedInputError: the file may not be opened.
        UsageError: the interface file does not fit the graph.
    """
    from deployopt.graph.describing import describe_onnx

    described = describe_onnx(path)
    texts = [item.name for item in described.inputs if item.dtype == "object"]
    if texts:
        raise UsageError(
            f"{path.name} takes strings (its input {texts[0]}), and deployopt feeds numbers. "
            "Export the model without its text preprocessing, and name its tokenizer in "
            f"{interface_path(path).name}."
        )
    outputs = tuple(output.name for output in described.outputs)
    beside = interface_path(path)
    if not beside.exists():
        inputs = ArrayInputs(inputs=described.inputs)
        return Interface(task=Task.ANY, inputs=inputs, outputs=outputs)
    interface = read_interface(beside)
    _check_names(interface, tuple(x.name for x in described.inputs), outputs, beside)
    check_labels(interface, described.outputs, str(beside))
    return interface


def check_labels(interface: Interface, outputs: Sequence[ArrayInput], where: str) -> None:
    """Raise UsageError where the graph says that it gives another number of classes."""
    if not interface.classifies:
        return
    first = next(output for output in outputs if output.name == interface.outputs[0])
    width = first.shape[-1] if len(first.shape) == _LOGITS_RANK else None
    if isinstance(width, int) and width != len(interface.labels):
        raise UsageError(
            f"{where}: {len(interface.labels)} labels are given, and the output {first.name} has "
            f"the form {list(first.shape)}. Give one label a class, in the order of the output."
        )


def read_interface(path: Path) -> Interface:
    """The interface file.

    Raises:
        UsageError: not of this form; says where.
    """
    check_regular(path, path.parent)
    if path.stat().st_size > INTERFACE_MAX_BYTES:
        raise UsageError(f"{path} has more than {INTERFACE_MAX_BYTES} bytes.")
    try:
        interface = msgspec.json.decode(path.read_bytes(), type=Interface)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: {explain(str(error), Interface)}.") from error
    kinds: tuple[type, ...] = (_KINDS[interface.task],)
    if not isinstance(interface.inputs, kinds):
        raise UsageError(f"{path}: inputs are not of the kind that {interface.task.value} takes.")
    if interface.task is not Task.ANY and len(interface.labels) < _CLASSES_MIN:
        raise UsageError(f"{path}: a classifier needs its labels, in the order of its outputs.")
    if len(set(interface.labels)) != len(interface.labels):
        raise UsageError(f"{path}: a label is there twice.")
    return interface


def _check_names(
    interface: Interface, inputs: tuple[str, ...], outputs: tuple[str, ...], where: Path
) -> None:
    taken = interface.inputs
    if isinstance(taken, TextInputs):
        named = set(taken.input_names)
    elif isinstance(taken, ImageInputs):
        named = {taken.input_name}
    elif isinstance(taken, ArrayInputs):
        named = {item.name for item in taken.inputs}
    else:
        raise UsageError(f"{where} says that the graph is part of a larger model: give its folder.")
    if named != set(inputs):
        raise UsageError(
            f"{where} names the inputs {', '.join(sorted(named))}; the graph takes "
            f"{', '.join(inputs)}."
        )
    if not interface.outputs or not set(interface.outputs) <= set(outputs):
        raise UsageError(
            f"{where} names the outputs {', '.join(interface.outputs) or '(none)'}; the graph "
            f"gives {', '.join(outputs)}."
        )


def _tokenizer_name(inputs: TextInputs, folder: Path, where: Path) -> str:
    name = inputs.tokenizer
    pure = PurePosixPath(name)
    if len(pure.parts) != 1 or name in (".", "..") or not (folder / name).is_file():
        raise UsageError(f"{where}: the tokenizer {name!r} is not a file beside the model.")
    check_regular(folder / name, folder)
    return name
