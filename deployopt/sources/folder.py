"""A model folder in Hugging Face form, read as data: what it answers and what it takes.

In: a folder with config.json, safetensors weights, and a tokenizer or preprocessor. Out: its
interface and the precision of its weights. Nothing of it is run, and transformers does not see it.
Refuses what `checks` and `weights` refuse, and a model that neither answers with one class nor goes
on with a text.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import ImageInputs, Interface, PromptInputs, Task, TextInputs
from deployopt.sources.checks import (
    CHAT_TEMPLATE,
    INDEX,
    list_model_folder,
    read_object,
    read_vocabulary,
)
from deployopt.sources.decoders import SUFFIX as DECODER_SUFFIX
from deployopt.sources.decoders import check_class, prompt_inputs, read_template
from deployopt.sources.detectors import OUTPUTS as BOX_OUTPUTS
from deployopt.sources.detectors import SUFFIX as DETECTOR_SUFFIX
from deployopt.sources.detectors import box_form, check_detector_head, detector_inputs
from deployopt.sources.image_text import CLASSES as PAIR_CLASSES
from deployopt.sources.image_text import check_towers, image_text_facts
from deployopt.sources.preprocessing import PROCESSOR, read_preprocessor, write_preprocessor
from deployopt.sources.sentence_pieces import FILE as SENTENCE_PIECES
from deployopt.sources.tokenizer_files import TOKENIZER, Opener, read_tokenizer, write_tokenizer
from deployopt.sources.weights import Tensor, read_header, weight_precision

ENTRY: Final = "config.json"
OUTPUT: Final = "logits"
LABELS_MAX: Final = 100_000
LABEL_MAX_CHARACTERS: Final = 1_000
LENGTH_MAX: Final = 131_072
_CLASSES_MIN: Final = 2
_MATRIX: Final = 2
# What SwiftFormer and HGNetV2 call theirs.
_HEADS: Final = frozenset({"head.weight", "fc.weight"})
# The two special tokens and one of the text.
_TOKENS_MIN: Final = 3
TEXT_SUFFIX: Final = "ForSequenceClassification"
IMAGE_SUFFIX: Final = "ForImageClassification"
_TASKS: Final[Mapping[str, Task]] = {
    TEXT_SUFFIX: Task.TEXT_CLASSIFICATION,
    IMAGE_SUFFIX: Task.IMAGE_CLASSIFICATION,
    DETECTOR_SUFFIX: Task.OBJECT_DETECTION,
    **dict.fromkeys(PAIR_CLASSES, Task.IMAGE_TEXT),
    DECODER_SUFFIX: Task.TEXT_GENERATION,
}
_OF_IMAGES: Final = frozenset({Task.IMAGE_CLASSIFICATION, Task.OBJECT_DETECTION})
_IDS_AND_MASK: Final = ("input_ids", "attention_mask")
_WITH_TYPES: Final = ("input_ids", "attention_mask", "token_type_ids")
# The text encoders that are read, and the inputs each graph takes.
INPUT_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "albert": _WITH_TYPES,
    "bert": _WITH_TYPES,
    "camembert": _IDS_AND_MASK,
    "deberta-v2": _IDS_AND_MASK,
    "distilbert": _IDS_AND_MASK,
    "electra": _WITH_TYPES,
    "mobilebert": _WITH_TYPES,
    "modernbert": _IDS_AND_MASK,
    "mpnet": _IDS_AND_MASK,
    "roberta": _IDS_AND_MASK,
    "squeezebert": _WITH_TYPES,
    "xlm-roberta": _IDS_AND_MASK,
}
# These count positions from the padding token's number plus one.
_OFFSET_TYPES: Final = frozenset({"camembert", "mpnet", "roberta", "xlm-roberta"})


class FolderFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a model folder says of itself."""

    interface: Interface
    precision: Precision
    model_type: str
    resample: int | None = None
    """The filter's number in Pillow, for an image model."""


def complete_folder(folder: Path) -> None:
    """Add what the device needs and an older folder lacks; only in a staging folder."""
    config = read_object(folder / ENTRY)
    task = _task(config, folder)
    if task not in _OF_IMAGES:
        write_tokenizer(folder, model_type(config))
    if task in _OF_IMAGES or task is Task.IMAGE_TEXT:
        write_preprocessor(folder)
    # What they say of images and words is taken; for whatever else they may say nobody asks.
    (folder / PROCESSOR).unlink(missing_ok=True)
    (folder / SENTENCE_PIECES).unlink(missing_ok=True)


def read_folder(folder: Path, opener: Opener | None = None) -> FolderFacts:
    """Check the folder and say what it is; `opener` opens its tokenizer, None in confinement.

    Raises:
        RefusedInputError: it holds pickles, names code, or its weights are malformed.
        UsageError: something is missing, or the model is of a kind that is not supported.
    """
    names = list_model_folder(folder)
    config = read_object(folder / ENTRY)
    task = _task(config, folder)
    _check_small(folder, names)
    tensors = folder_tensors(folder, names)
    if task is Task.OBJECT_DETECTION:
        return _detector(folder, names, config, tensors)
    if task is Task.IMAGE_TEXT:
        return _image_text(folder, names, config, tensors, opener)
    labels: tuple[str, ...] = ()
    inputs: TextInputs | ImageInputs | PromptInputs
    resample = None
    if task is not Task.TEXT_GENERATION:
        labels = config_labels(config, str(folder / ENTRY))
        _check_head(tensors, labels, folder)
    if task is Task.TEXT_GENERATION:
        check_class(config, str(folder / ENTRY))
        inputs = prompt_inputs(folder, config, opener)
    elif task is Task.TEXT_CLASSIFICATION:
        inputs = text_inputs(folder, config, opener)
    else:
        inputs, resample = image_inputs(folder, names)
    return FolderFacts(
        interface=Interface(task=task, inputs=inputs, outputs=(OUTPUT,), labels=labels),
        precision=weight_precision(tensors),
        model_type=model_type(config),
        resample=resample,
    )


def _check_small(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if name.endswith(".json") and name not in (ENTRY, TOKENIZER):
            (read_vocabulary if name == "vocab.json" else read_object)(folder / name)
    if CHAT_TEMPLATE in names:
        read_template(folder / CHAT_TEMPLATE)


def _detector(
    folder: Path,
    names: tuple[str, ...],
    config: Mapping[str, object],
    tensors: Mapping[str, Tensor],
) -> FolderFacts:
    where = str(folder / ENTRY)
    form = box_form(config, where)
    labels = config_labels(config, where, least=1)
    check_detector_head(tensors, labels, form, folder)
    path = _preprocessor(folder, names)
    facts = detector_inputs(config, read_object(path), str(path))
    return FolderFacts(
        interface=Interface(
            task=Task.OBJECT_DETECTION,
            inputs=facts.inputs,
            outputs=BOX_OUTPUTS,
            labels=labels,
            boxes=form,
        ),
        precision=weight_precision(tensors),
        model_type=model_type(config),
        resample=facts.resample,
    )


def _image_text(
    folder: Path,
    names: tuple[str, ...],
    config: Mapping[str, object],
    tensors: Mapping[str, Tensor],
    opener: Opener | None,
) -> FolderFacts:
    check_towers(config, tensors, folder)
    options = read_object(_preprocessor(folder, names))
    facts = image_text_facts(folder, config, options, opener)
    return FolderFacts(
        interface=facts.interface,
        precision=weight_precision(tensors),
        model_type=model_type(config),
        resample=facts.resample,
    )


def _task(config: Mapping[str, object], folder: Path) -> Task:
    classes = config.get("architectures")
    names = [str(name) for name in classes] if isinstance(classes, list) else []
    found = [task for ending, task in _TASKS.items() if names[0].endswith(ending)] if names else []
    if len(names) != 1 or not found:
        said = ", ".join(names) or "nothing"
        raise UsageError(
            f"{folder / ENTRY} names {said} as the model's architecture; deployopt builds text "
            f"classifiers (…{TEXT_SUFFIX}), image classifiers (…{IMAGE_SUFFIX}), detectors "
            f"(…{DETECTOR_SUFFIX}), image-text models ({', '.join(PAIR_CLASSES)}) and language "
            f"models (…{DECODER_SUFFIX}). A model without its classification head has to be "
            "fine-tuned first: `deployopt finetune`."
        )
    task = found[0]
    if task is Task.TEXT_CLASSIFICATION and model_type(config) not in INPUT_NAMES:
        raise UsageError(
            f"{folder / ENTRY} is of the type {model_type(config)!r}; the text models that are "
            f"read are {', '.join(INPUT_NAMES)}. Give another one as model.onnx, with its task, "
            "labels and tokenizer in model.interface.json beside it."
        )
    kind = config.get("problem_type")
    if task is not Task.TEXT_GENERATION and kind not in (None, "single_label_classification"):
        raise UsageError(f"{folder / ENTRY}: problem_type is {kind!r}; one class an example is.")
    return task


def model_type(config: Mapping[str, object]) -> str:
    """As the config names it; empty where it does not."""
    value = config.get("model_type")
    return value if isinstance(value, str) else ""


def config_labels(
    config: Mapping[str, object], where: str, *, least: int = _CLASSES_MIN
) -> tuple[str, ...]:
    """`id2label` in order of its numbers, which must run from 0 without a gap."""
    given = config.get("id2label")
    if given is None:
        count = config.get("num_labels", 2)
        given = {str(at): f"LABEL_{at}" for at in range(count if isinstance(count, int) else 2)}
    if not isinstance(given, dict) or not least <= len(given) <= LABELS_MAX:
        size = len(given) if isinstance(given, dict) else 0
        raise UsageError(
            f"{where}: id2label has {size} labels; a model has {least} to {LABELS_MAX}."
        )
    numbered = {str(key): str(value) for key, value in given.items()}
    missing = [str(at) for at in range(len(numbered)) if str(at) not in numbered]
    if missing:
        raise UsageError(f"{where}: id2label lacks the numbers {', '.join(missing[:5])}.")
    labels = tuple(numbered[str(at)] for at in range(len(numbered)))
    too_long = [label for label in labels if not 0 < len(label) <= LABEL_MAX_CHARACTERS]
    if too_long:
        raise UsageError(f"{where}: a label in id2label is empty or very long.")
    return labels


def folder_tensors(folder: Path, names: tuple[str, ...]) -> dict[str, Tensor]:
    """The headers of all its weights."""
    tensors: dict[str, Tensor] = {}
    for name in names:
        if name.endswith(".safetensors"):
            tensors |= read_header(folder / name)
    if INDEX in names:
        index = read_object(folder / INDEX).get("weight_map")
        parts = set(index.values()) if isinstance(index, dict) else set()
        if not parts or not parts <= set(names):
            raise RefusedInputError(f"{folder / INDEX} does not list the parts that are there.")
    return tensors


def _check_head(tensors: Mapping[str, Tensor], labels: tuple[str, ...], folder: Path) -> None:
    """A missing head would be filled with random weights, and a wrong one misread."""
    heads = [
        tensor.shape[0]
        for name, tensor in tensors.items()
        if ("classifier" in name or name.startswith("score.") or name in _HEADS)
        and len(tensor.shape) == _MATRIX
    ]
    if not heads:
        raise UsageError(
            f"{folder} holds no classification head: no tensor of the weights is named "
            "'classifier'. Fine-tune the model for its task first: `deployopt finetune`."
        )
    if len(labels) not in heads:
        raise UsageError(
            f"{folder / ENTRY} names {len(labels)} labels and the weights' head answers "
            f"{heads[-1]} classes. Set id2label to the labels it was trained with."
        )


def text_inputs(
    folder: Path, config: Mapping[str, object], opener: Opener | None = None
) -> TextInputs:
    """What a text model takes, by its tokenizer and its config."""
    facts = read_tokenizer(folder, config, opener)
    positions = config.get("max_position_embeddings", 512)
    if not isinstance(positions, int) or isinstance(positions, bool):
        raise UsageError(f"{folder / ENTRY}: max_position_embeddings is {positions!r}.")
    if model_type(config) in _OFFSET_TYPES:
        positions -= facts.pad_id + 1
    longest = min(positions, facts.max_length or positions, LENGTH_MAX)
    if longest < _TOKENS_MIN:
        raise UsageError(f"{folder / ENTRY}: the model takes {longest} tokens at most.")
    return TextInputs(
        tokenizer=TOKENIZER,
        max_length=longest,
        pad_id=facts.pad_id,
        input_names=INPUT_NAMES[model_type(config)],
    )


def image_inputs(folder: Path, names: tuple[str, ...]) -> tuple[ImageInputs, int]:
    """What an image model takes, and how its images are resized."""
    path = _preprocessor(folder, names)
    facts = read_preprocessor(read_object(path), str(path))
    return facts.inputs, facts.resample


def _preprocessor(folder: Path, names: tuple[str, ...]) -> Path:
    if "preprocessor_config.json" not in names:
        raise UsageError(
            f"{folder} has no preprocessor_config.json, so nothing says how its images are sized "
            "and normalized. `AutoImageProcessor.from_pretrained(…).save_pretrained(folder)` "
            "writes it."
        )
    return folder / "preprocessor_config.json"
