"""Examples become requests: text through the tokenizer, images normalised, arrays as they are.

In: an Interface, the folder with `tokenizer.json`, examples, a workload. Out: one feed a request,
the last one possibly of fewer examples than the batch. Refuses examples of another kind than the
model's.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from tokenizers import Encoding, Tokenizer

from deployopt.core.errors import DeviceError, IntegrityError, UsageError
from deployopt.core.examples import IMAGE, Example
from deployopt.core.interface import (
    ArrayInputs,
    DrawingInputs,
    ImageInputs,
    Interface,
    PairInputs,
    PromptInputs,
    TextInputs,
)
from deployopt.core.pairs import caption_of
from deployopt.core.samples import Array, Feed
from deployopt.core.text import safe_text
from deployopt.core.workload import Workload
from deployopt.device.drawing.requests import judged_request, texts_of
from deployopt.device.images import image_input
from deployopt.device.preparing.texts import TextPreparer

_TOKENIZER_BYTES_MAX: Final = 256 * 2**20
_PANIC: Final = "PanicException"


def feeds(
    interface: Interface, folder: Path, examples: Sequence[Example], workload: Workload
) -> Iterator[Feed]:
    """The requests for these examples, in order, made one at a time.

    Raises:
        UsageError: an example is not what the model takes.
        IntegrityError: the tokenizer cannot be read.
    """
    inputs = interface.inputs
    starts = range(0, len(examples), workload.batch)
    batches = (examples[start : start + workload.batch] for start in starts)
    if isinstance(inputs, TextInputs):
        encode = TextEncoder(inputs, folder, workload)
        return (encode.feed(batch) for batch in batches)
    if isinstance(inputs, ImageInputs):
        return (_image_feed(batch, inputs) for batch in batches)
    if isinstance(inputs, DrawingInputs):
        prompts = prompt_encoder(inputs, folder)
        return (judged_request(prompts, inputs, batch) for batch in batches)
    if isinstance(inputs, PairInputs):
        encode = TextEncoder(inputs.text, folder, workload)
        return (_pair_feed(batch, inputs, encode) for batch in batches)
    if isinstance(inputs, PromptInputs):
        raise UsageError("The model goes on with texts, and has no requests of fixed inputs.")
    return (_array_feed(batch, inputs) for batch in batches)


class TextEncoder:
    """Texts to int64 arrays: truncated to the model's length, padded to the longest of the batch.

    A workload of fixed length pads, and cuts, every text to it; a model that learnt to read padding
    has its own length at any workload.
    """

    def __init__(self, inputs: TextInputs, folder: Path, workload: Workload) -> None:
        self._prepare = TextPreparer(
            open_tokenizer(folder / inputs.tokenizer),
            input_names=inputs.input_names,
            max_length=inputs.max_length,
            pad_id=inputs.pad_id,
            fixed=_length(inputs, workload),
        )

    def feed(self, batch: Sequence[Example]) -> Feed:
        """One request of these texts."""
        texts = [text for text in batch if isinstance(text, str)]
        if len(texts) != len(batch):
            raise UsageError("The model takes text; the examples are arrays.")
        return self._prepare.arrays(self._encode(texts))

    def _encode(self, texts: list[str]) -> Sequence[Encoding]:
        try:
            return self._prepare.encode(texts)
        except BaseException as error:
            _pass_on(error)
            raise DeviceError(f"The tokenizer failed: {safe_text(str(error))}.") from error


def _length(inputs: TextInputs, workload: Workload) -> int | None:
    """What every text is padded to; None where each has its own length."""
    if inputs.padded:
        return inputs.max_length
    return None if workload.length == "real" else int(workload.length)


def prompt_encoder(inputs: DrawingInputs, folder: Path) -> TextEncoder:
    """What turns the prompts of a drawing into token ids."""
    texts, workload = texts_of(inputs)
    return TextEncoder(texts, folder, workload)


def open_tokenizer(path: Path) -> Tokenizer:
    """Read a stranger's tokenizer.json; raises IntegrityError where it is none."""
    try:
        data = path.read_bytes() if path.stat().st_size <= _TOKENIZER_BYTES_MAX else b""
        text = data.decode("utf-8")
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{path} is not a tokenizer: {error}.") from error
    return tokenizer_of(text, str(path))


def tokenizer_of(text: str, where: str) -> Tokenizer:
    """The tokenizer that the text of a tokenizer.json says; raises IntegrityError otherwise."""
    try:
        return Tokenizer.from_str(text)
    except BaseException as error:
        _pass_on(error)
        raise IntegrityError(f"{where} is not a tokenizer: {error}.") from error


def _pass_on(error: BaseException) -> None:
    """Raise what is not the library's: a bare Exception, or a panic, which is no Exception."""
    if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
        raise error


def _image_feed(batch: Sequence[Example], inputs: ImageInputs) -> Feed:
    images = []
    for example in batch:
        if isinstance(example, str) or IMAGE not in example:
            raise UsageError("The model takes images; the examples are something else.")
        images.append(image_input(example[IMAGE], inputs))
    return {inputs.input_name: np.stack(images)}


def _pair_feed(batch: Sequence[Example], inputs: PairInputs, encode: "TextEncoder") -> Feed:
    """As many images as texts, each with its own."""
    texts = [caption_of(example, "The data") for example in batch]
    return dict(_image_feed(batch, inputs.image)) | dict(encode.feed(texts))


def _array_feed(batch: Sequence[Example], inputs: ArrayInputs) -> Feed:
    names = [item.name for item in inputs.inputs]
    for example in batch:
        missing = names if isinstance(example, str) else [n for n in names if n not in example]
        if missing:
            raise UsageError(f"The examples have no array for the input {missing[0]!r}.")
    return {name: _joined(name, batch) for name in names}


def _joined(name: str, batch: Sequence[Example]) -> Array:
    arrays = [example[name] for example in batch if not isinstance(example, str)]
    if len(arrays) == 1:
        return arrays[0]
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        raise UsageError(
            f"The input {name!r} has other shapes from example to example, so that they cannot go "
            "into one batch. Use a workload with batch = 1."
        )
    return np.concatenate(arrays)
