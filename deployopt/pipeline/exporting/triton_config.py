"""The `config.pbtxt` of each model of a repository, as protobuf text.

In: what is to be said. Out: text. Names, types and shapes of tensors are those that the model's
file declares; comments say where figures come from.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.interface import ImageInputs
from deployopt.core.text import safe_text
from deployopt.device.tensors import Tensor, Tensors
from deployopt.pipeline.exporting.pbtxt import Comment, Field, Message, Word, write_message
from deployopt.pipeline.exporting.served import Served
from deployopt.pipeline.exporting.triton_batching import Batching
from deployopt.pipeline.exporting.triton_session import TritonSession

_TYPES: Final[dict[str, str]] = {
    "bool": "TYPE_BOOL", "uint8": "TYPE_UINT8", "uint16": "TYPE_UINT16", "uint32": "TYPE_UINT32",
    "uint64": "TYPE_UINT64", "int8": "TYPE_INT8", "int16": "TYPE_INT16", "int32": "TYPE_INT32",
    "int64": "TYPE_INT64", "float16": "TYPE_FP16", "float32": "TYPE_FP32",
    "float64": "TYPE_FP64", "bfloat16": "TYPE_BF16", "string": "TYPE_STRING",
}  # fmt: skip


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    """All that the files of a repository say."""

    name: str
    served: Served
    session: TritonSession
    batching: Batching
    tensors: Tensors
    untold: tuple[str, ...]
    """What was measured and cannot be said to Triton, a sentence each."""


def model_config(told: Repository) -> str:
    """Of the model itself."""
    manifest = told.served.bundle.manifest
    labels = "labels.txt" if manifest.interface.labels else None
    fields: list[Field] = [
        *(Comment(line) for line in _provenance(told)),
        ("name", told.name),
        ("backend", told.session.backend),
        ("default_model_filename", PurePosixPath(manifest.model).name),
        ("max_batch_size", told.batching.largest),
        *(("input", _tensor(told, one)) for one in told.tensors.inputs),
        *(
            ("output", _tensor(told, one, labels if at == 0 else None))
            for at, one in enumerate(told.tensors.outputs)
        ),
        *_policy(),
        *_instances(told.batching),
        *_dynamic(told.batching),
        *_optimization(told),
        *(("parameters", _parameter(key, value)) for key, value in told.session.parameters.items()),
    ]
    return write_message(fields)


def texts_config(told: Repository) -> str:
    """Of what makes the inputs of texts."""
    return write_message(
        [
            Comment("Texts to the model's inputs, in Python; needs tokenizers."),
            *_python_head(told, f"{told.name}_text"),
            ("input", _array("TEXT", "TYPE_STRING", _with_batch(told, [1], [-1]))),
            *(("output", _tensor(told, one)) for one in told.tensors.inputs),
            *_tail(),
        ]
    )


def pixels_config(told: Repository) -> str:
    """Of what makes the input of images."""
    channels = _image(told).channels
    dims = [-1, -1, channels]
    return write_message(
        [
            Comment("uint8 pixels [height, width, channels] to the model's input, in Python."),
            *_python_head(told, f"{told.name}_image"),
            ("input", _array("IMAGE", "TYPE_UINT8", _with_batch(told, dims, [-1, *dims]))),
            *(("output", _tensor(told, one)) for one in told.tensors.inputs),
            *_tail(),
        ]
    )


def shares_config(told: Repository) -> str:
    """Of what makes labels and probabilities of logits."""
    logits = told.tensors.outputs[0]
    given = msgspec.structs.replace(logits, name="LOGITS")
    return write_message(
        [
            Comment("Logits to labels and probabilities, in Python."),
            *_python_head(told, f"{told.name}_labels"),
            ("input", _tensor(told, given)),
            *(("output", message) for message in _answers(told)),
            *_tail(),
        ]
    )


def ensemble_config(told: Repository) -> str:
    """Of the whole way from an input to its label."""
    image = isinstance(told.served.bundle.manifest.interface.inputs, ImageInputs)
    kind, taken = ("image", "IMAGE") if image else ("text", "TEXT")
    first = f"{told.name}_{kind}"
    inputs = {one.name: f"prepared_{at}" for at, one in enumerate(told.tensors.inputs)}
    logits = told.tensors.outputs[0].name
    dims = [-1, -1, _image(told).channels] if image else [1]
    given = _array(
        taken,
        "TYPE_UINT8" if image else "TYPE_STRING",
        _with_batch(told, dims, [-1, *dims] if image else [-1]),
    )
    steps = [
        _step(first, {taken: taken}, inputs),
        _step(told.name, inputs, {logits: "answered"}),
        _step(
            f"{told.name}_labels",
            {"LOGITS": "answered"},
            {"LABEL": "LABEL", "PROBABILITIES": "PROBABILITIES"},
        ),
    ]
    return write_message(
        [
            *(Comment(line) for line in _provenance(told)),
            ("name", f"{told.name}_ensemble"),
            ("platform", "ensemble"),
            ("max_batch_size", told.batching.largest),
            ("input", given),
            *(("output", message) for message in _answers(told)),
            *_policy(),
            ("ensemble_scheduling", Message(tuple(("step", step) for step in steps))),
        ]
    )


def _provenance(told: Repository) -> list[str]:
    """What is known of the figures, for whoever opens the file."""
    manifest = told.served.bundle.manifest
    said = f"{safe_text(manifest.name, 80)} for {manifest.target}: {told.served.word}"
    return [
        f"{said}; built by {safe_text(manifest.made_with, 40)}",
        f"bundle {manifest.bundle_digest}",
        f"measured on: {told.served.measured_on()}",
        *(safe_text(line, 200) for line in told.served.evidence()),
        "Triton itself has not run this; its queue and network come on top.",
        *(safe_text(line, 400) for line in (*told.served.warnings, *told.untold)),
        *(safe_text(line, 400) for line in told.batching.reasons),
    ]


def _tensor(told: Repository, tensor: Tensor, labels: str | None = None) -> Message:
    if tensor.dtype not in _TYPES:
        raise UsageError(f"Triton has no type for {tensor.name!r}, which is {tensor.dtype}.")
    shape = tensor.shape[1:] if told.batching.largest else tensor.shape
    dims = [-1 if isinstance(size, str) else size for size in shape]
    return _array(tensor.name, _TYPES[tensor.dtype], dims or [1], labels, flat=not dims)


def _array(
    name: str, kind: str, dims: Sequence[int], labels: str | None = None, *, flat: bool = False
) -> Message:
    fields: list[Field] = [("name", name), ("data_type", Word(kind)), ("dims", list(dims))]
    if flat:
        # A graph's [batch] has no dimension left, which Triton does not allow.
        fields.append(("reshape", Message((("shape", []),))))
    if labels is not None:
        fields.append(("label_filename", labels))
    return Message(tuple(fields))


def _with_batch(told: Repository, dims: list[int], whole: list[int]) -> list[int]:
    return dims if told.batching.largest else whole


def _answers(told: Repository) -> tuple[Message, Message]:
    count = len(told.served.bundle.manifest.interface.labels)
    return (
        _array("LABEL", "TYPE_STRING", _with_batch(told, [1], [-1, 1])),
        _array("PROBABILITIES", "TYPE_FP64", _with_batch(told, [count], [-1, count])),
    )


def _python_head(told: Repository, name: str) -> list[Field]:
    return [("name", name), ("backend", "python"), ("max_batch_size", told.batching.largest)]


def _tail() -> list[Field]:
    cpu: tuple[Field, ...] = (("count", 1), ("kind", Word("KIND_CPU")))
    return [*_policy(), ("instance_group", Message(cpu))]


def _policy() -> list[Field]:
    latest = Message((("num_versions", 1),))
    return [("version_policy", Message((("latest", latest),)))]


def _instances(batching: Batching) -> list[Field]:
    fields: list[Field] = [("count", batching.instances)]
    fields.append(("kind", Word("KIND_GPU" if batching.gpus else "KIND_CPU")))
    if batching.gpus:
        fields.append(("gpus", list(batching.gpus)))
    return [("instance_group", Message(tuple(fields)))]


def _dynamic(batching: Batching) -> list[Field]:
    if batching.delay_us is None:
        return []
    fields: tuple[Field, ...] = (
        ("preferred_batch_size", [batching.largest]),
        ("max_queue_delay_microseconds", batching.delay_us),
    )
    return [("dynamic_batching", Message(fields))]


def _optimization(told: Repository) -> list[Field]:
    if told.session.backend != "onnxruntime":
        return []
    # 0 is every optimization, as it was measured.
    fields: list[Field] = [("graph", Message((("level", 0),)))]
    if told.session.accelerators:
        named = (_accelerator(*one) for one in told.session.accelerators.items())
        every = tuple(("gpu_execution_accelerator", one) for one in named)
        fields.append(("execution_accelerators", Message(every)))
    return [("optimization", Message(tuple(fields)))]


def _accelerator(name: str, parameters: dict[str, str]) -> Message:
    given = (("parameters", _pair(key, value)) for key, value in parameters.items())
    return Message((("name", name), *given))


def _parameter(key: str, value: str) -> Message:
    return Message((("key", key), ("value", Message((("string_value", value),)))))


def _step(model: str, inputs: dict[str, str], outputs: dict[str, str]) -> Message:
    return Message(
        (
            ("model_name", model),
            ("model_version", -1),
            *(("input_map", _pair(key, value)) for key, value in inputs.items()),
            *(("output_map", _pair(key, value)) for key, value in outputs.items()),
        )
    )


def _pair(key: str, value: str) -> Message:
    return Message((("key", key), ("value", value)))


def _image(told: Repository) -> ImageInputs:
    inputs = told.served.bundle.manifest.interface.inputs
    if isinstance(inputs, ImageInputs):
        return inputs
    raise UsageError("The model takes no images.")
