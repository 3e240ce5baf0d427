"""A student beside its teacher: whether it may learn from it, and how much smaller it is."""

import math

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.codec import to_plain
from deployopt.core.distill_request import DistillRequest
from deployopt.core.distill_result import ModelShape
from deployopt.core.errors import StepError, UsageError
from deployopt.core.interface import TextInputs
from deployopt.core.recipe import Recipe, Step
from deployopt.core.source import SourceModel
from deployopt.core.text import name_list
from deployopt.core.workload import Workload
from deployopt.modeling.pruning.families import check_heads, family_of, whole_shape
from deployopt.modeling.pruning.shape import Shape, smaller, spread_layers
from deployopt.pipeline.facts import source_facts
from deployopt.sources.checks import list_model_folder, read_object, read_vocabulary
from deployopt.sources.folder import ENTRY, folder_tensors
from deployopt.steps.distil import Distil
from deployopt.steps.prune import Prune

# Padding and truncation are settings of a call, not of the language.
_CALL_SETTINGS = ("padding", "truncation")


def require_text_model(source: SourceModel) -> None:
    """Raise UsageError unless it is a text classifier whose layers are known."""
    if source.artifact.format is not Format.TRANSFORMERS or not isinstance(
        source.interface.inputs, TextInputs
    ):
        raise UsageError(
            f"{source.name} is no text classifier in Hugging Face form, and distilling takes "
            "those. An .onnx file cannot be taught; give the folder that it was made from."
        )
    whole(source)


def check_alike(teacher: SourceModel, student: SourceModel) -> None:
    """Raise UsageError unless both read texts and name classes in the same way."""
    if teacher.interface.labels != student.interface.labels:
        theirs, own = name_list(teacher.interface.labels), name_list(student.interface.labels)
        raise UsageError(
            f"The student {student.name} answers {own} and the teacher {teacher.name} {theirs}. "
            "Give a student with the same labels in the same order (id2label), or cut one from "
            "the teacher with --layers and --ffn."
        )
    one, other = _tokenizer(teacher), _tokenizer(student)
    differ = sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))
    if differ:
        raise UsageError(
            f"The student {student.name} has another tokenizer than the teacher {teacher.name} "
            f"(their {', '.join(differ)} differ), so their tokens cannot be compared. Give a "
            "student of the teacher's tokenizer, or cut one from the teacher with --layers and "
            "--ffn."
        )


def whole(source: SourceModel) -> Shape:
    """The model's own shape.

    Raises:
        UsageError: a family that is not known, or a config that leaves a size open.
    """
    try:
        shape = whole_shape(read_object(source.artifact.folder / ENTRY))
    except StepError as error:
        raise UsageError(f"{source.name}: {error}") from error
    if shape is None:
        raise UsageError(
            f"{source.artifact.folder / ENTRY} does not say how many layers, heads and "
            "neurons the model has. Save it again with save_pretrained."
        )
    return shape


def student_recipe(request: DistillRequest, start: SourceModel) -> Recipe:
    """Cut, where anything is cut, then taught; `start` is the teacher or the named student.

    Raises:
        UsageError: what is to be left is not there, or cannot be said in the model's config.
    """
    own = whole(start)
    layers = _kept_layers(request, start, own)
    steps: list[Step] = []
    if request.cuts:
        prune = msgspec.convert(
            {
                "layers": layers,
                "ffn": request.ffn,
                "heads": request.heads,
                "importance": request.importance,
            },
            Prune,
        )
        steps.append(prune)
    distil = Distil(
        epochs=request.epochs,
        learning_rate=request.learning_rate,
        batch=request.batch,
        temperature=request.temperature,
        hidden_weight=request.hidden_weight,
        relation_weight=request.relation_weight,
        label_weight=request.label_weight,
        layers=(layers or own.layers) if request.student is None else (),
        time_limit_s=request.time_limit_s,
    )
    return Recipe(name="student", steps=(*steps, distil))


def _kept_layers(request: DistillRequest, start: SourceModel, own: Shape) -> tuple[int, ...]:
    layers = request.keep
    try:
        if request.layers is not None:
            layers = spread_layers(len(own.layers), request.layers)
        left = smaller(own, layers=layers, ffn=request.ffn, heads=request.heads)
        check_heads(read_object(start.artifact.folder / ENTRY).get("model_type"), own, left)
    except StepError as error:
        raise UsageError(str(error)) from error
    return layers


def model_shape(source: SourceModel, artifact: Artifact, length: int) -> ModelShape:
    """Sizes from the config, parameters from the weights, work for a text of `length` tokens."""
    there = msgspec.structs.replace(source, artifact=artifact)
    shape = whole(there)
    config = read_object(artifact.folder / ENTRY)
    tensors = folder_tensors(artifact.folder, list_model_folder(artifact.folder))
    facts = source_facts(there, Workload(), {"input_ids": (1, length)})
    hidden = config.get(family_of(config.get("model_type")).hidden_key)
    return ModelShape(
        layers=len(shape.layers),
        hidden=hidden if isinstance(hidden, int) else 0,
        heads=shape.heads,
        ffn=shape.ffn,
        parameters=sum(math.prod(tensor.shape) for tensor in tensors.values()),
        macs=None if facts is None else sum(o.macs * o.count for o in facts.operations),
        length=length,
    )


def _tokenizer(source: SourceModel) -> dict[str, object]:
    """What turns text into numbers, and the inputs that come of it."""
    inputs = source.interface.inputs
    if not isinstance(inputs, TextInputs):
        return {}
    found = read_vocabulary(source.artifact.folder / inputs.tokenizer)
    parts = {key: value for key, value in found.items() if key not in _CALL_SETTINGS}
    return parts | {"inputs": to_plain(inputs.input_names), "padding token": inputs.pad_id}
