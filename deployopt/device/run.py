"""Predict with a bundle: `Predictor.open(path).predict(["a warm, funny film"])`.

In: a bundle, then texts, images or arrays. Out: a label with its score, or the outputs of a graph
of unknown meaning; of a language model an answer, or a conversation. Refuses a bundle whose bytes
changed, and inputs of another kind than the model's.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.drawing_result import DrawingSettings
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.examples import IMAGE, Example
from deployopt.core.generation import Answer, Sampling
from deployopt.core.interface import ArrayInput, ArrayInputs, ImageInputs, Interface
from deployopt.core.samples import Array, Feed
from deployopt.core.workload import Workload
from deployopt.device.bundle_reader import OpenBundle, open_bundle
from deployopt.device.detecting.decoding import decode_boxes
from deployopt.device.images import read_image
from deployopt.device.inputs import feeds
from deployopt.device.preparing.shares import sigmoid, softmax
from deployopt.device.reference import logits_of
from deployopt.device.session import Session, open_session
from deployopt.signing.authenticate import Policy, authenticate
from deployopt.store.staging import scratch_folder

if TYPE_CHECKING:
    from deployopt.device.chatting.conversation import Conversation
    from deployopt.device.chatting.process import ModelProcess
    from deployopt.device.drawing.drawer import Picture

Given = str | Path | Array | Mapping[str, Array]


LEAST_SCORE: Final = 0.3
"""Boxes that a detector is less sure of are not told."""


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """Something found: corners in pixels of the image as it was given, and how sure (0 to 1)."""

    label: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `label` and `score` (0 to 1) are None, and `outputs` given, without labels."""

    label: str | None
    score: float | None
    scores: dict[str, float] = {}
    outputs: dict[str, Any] | None = None
    """Output name to nested lists of numbers."""
    boxes: tuple[Box, ...] | msgspec.UnsetType = msgspec.UNSET
    """Of a detector: what it finds in the image, best score first; label and score are None."""


class Predictor:
    """An open bundle; not for several threads at once."""

    def __init__(self, bundle: OpenBundle, session: Session | None) -> None:
        self._bundle = bundle
        self._session = session
        self._model: ModelProcess | None = None

    @classmethod
    def open(
        cls, bundle: Path, *, key: Path | None = None, store: Path | None = None
    ) -> "Predictor":
        """Check the digests and open the model; a language model when it is asked first.

        With `key`, a public key that has to vouch for every byte, as `verify` asks it: an older
        release than the last that was verified here, and remembered in `store`, is refused too.

        Raises:
            IntegrityError: the bundle is not the one that was built, the key does not vouch for it,
                or it is too new for the runtime.
            MissingExtraError: a key was given, and what checks signatures is not installed.
            DeviceError: the runtime cannot open it here.
        """
        opened = open_bundle(bundle)
        if key is not None:
            policy = Policy(key=key, store=store)
            authenticate(opened.folder, opened.manifest, policy, scratch_folder())
        # A language model is opened by whoever talks with it, in a process of its own.
        generates = opened.manifest.interface.generates
        return cls(opened, None if generates else open_session(opened.setup))

    @property
    def bundle(self) -> OpenBundle:
        """What answers."""
        return self._bundle

    @property
    def interface(self) -> Interface:
        """What goes in and what comes out."""
        return self._bundle.manifest.interface

    def predict(self, inputs: Sequence[Given]) -> list[Prediction]:
        """Answer one by one, at the inputs' real sizes.

        Texts for a text model; for an image model files or uint8 `[height, width, channels]`; else
        mappings of input name to array, or one array where there is one input.

        Raises:
            UsageError: an input is not what the model takes.
        """
        if self._session is None:
            raise UsageError(
                "A language model predicts no labels. Use generate for one prompt, chat for turns."
            )
        if self.interface.pairs:
            raise UsageError("An image-text model takes images and texts: use match.")
        if self.interface.draws:
            raise UsageError("The model draws images of prompts: use draw.")
        if isinstance(inputs, str | bytes):
            raise UsageError("predict takes a list of inputs, so that one text is given as [text].")
        examples = [self._example(given) for given in inputs]
        requests = feeds(self.interface, self._bundle.folder, examples, self._workload())
        if self.interface.detects:
            pairs = zip(examples, requests, strict=True)
            return [self._found(self._session, example, feed) for example, feed in pairs]
        return [self._answer(self._session, feed) for feed in requests]

    def match(self, images: Sequence[Given], texts: Sequence[str]) -> list[Prediction]:
        """How well each text fits each image, of an image-text model: an answer an image.

        `scores` are shares of the texts that were given, so that there have to be two or more; of a
        model that scores each by itself (SigLIP) one will do, and they do not sum to 1. `label` is
        the text that fits best.

        Raises:
            UsageError: it is no image-text model, or there is nothing to choose among.
        """
        from deployopt.device.retrieving.matching import match

        if self._session is None or not self.interface.pairs:
            raise UsageError("The model does not match texts with images. Use predict.")
        pixels = [read_image(Path(x)) if isinstance(x, str | Path) else x for x in images]
        found = match(self._session, self.interface, self._bundle.folder, pixels, texts)
        return [
            Prediction(
                label=texts[int(np.argmax(shares))],
                score=float(max(shares)),
                scores={text: float(x) for text, x in zip(texts, shares, strict=True)},
            )
            for shares in found
        ]

    def draw(self, prompt: str, settings: DrawingSettings | None = None) -> "Picture":
        """An image of the prompt: `pixels`, uint8 `[height, width, 3]`, and what they took.

        Raises:
            UsageError: the model does not draw, the prompt is empty, or a setting is none that it
                takes.
            DeviceError: the runtime fails.
        """
        from deployopt.device.drawing.drawer import draw_picture
        from deployopt.device.drawing.session import DrawingSession

        if not isinstance(self._session, DrawingSession):
            raise UsageError("The model draws no images. Use predict.")
        return draw_picture(
            self._session, self._bundle.folder, prompt, settings or DrawingSettings()
        )

    def generate(
        self, prompt: str, *, sampling: Sampling | None = None, threads: int | None = None
    ) -> Answer:
        """A language model's answer to one prompt, as the first message of a conversation.

        The model stays open for the next prompt, on the threads of the first.

        Raises:
            UsageError: it is no language model; the prompt is empty or too long.
            MissingExtraError: the extra `chat` is not installed.
            DeviceError, IntegrityError: the model cannot be opened here.
        """
        from deployopt.device.chatting.conversation import Conversation
        from deployopt.device.chatting.opening import open_model

        if self._model is None or not self._model.close.alive:
            self._model = open_model(self._bundle, threads=threads)
        return Conversation(self._model, sampling=sampling).say(prompt)

    def chat(
        self,
        *,
        system: str | None = None,
        sampling: Sampling | None = None,
        threads: int | None = None,
        context: int | None = None,
    ) -> "Conversation":
        """A conversation with a language model, in a confined process of its own.

        Args:
            system: what the model is told before all turns.
            sampling: how tokens are chosen; by default as the model's own files say.
            threads: by default the target's.
            context: tokens of all turns and the answer together; by default what the bundle's
                memory was judged with.

        Raises:
            UsageError: it is no language model, or has no such context or system prompt.
            MissingExtraError: the extra `chat` is not installed.
            DeviceError, IntegrityError: the model cannot be opened here.
        """
        from deployopt.device.chatting.conversation import Conversation
        from deployopt.device.chatting.opening import open_model

        process = open_model(self._bundle, threads=threads, context=context)
        try:
            return Conversation(
                process, system=system, sampling=sampling, bundle=self._bundle.folder
            )
        except UsageError:
            process.close()
            raise

    def _workload(self) -> Workload:
        return msgspec.structs.replace(self._bundle.target.workload, batch=1)

    def _example(self, given: Given) -> Example:
        takes = self.interface.inputs
        if isinstance(takes, ImageInputs):
            if isinstance(given, str | Path):
                return {IMAGE: read_image(Path(given))}
            return given if isinstance(given, Mapping) else {IMAGE: np.asarray(given)}
        if isinstance(takes, ArrayInputs):
            if isinstance(given, str | Path):
                raise UsageError("The model takes arrays, not text.")
            arrays = (
                given if isinstance(given, Mapping) else {takes.inputs[0].name: np.asarray(given)}
            )
            for item in takes.inputs:
                _check_array(item, arrays)
            return arrays
        if not isinstance(given, str):
            raise UsageError("The model takes text.")
        return given

    def _found(self, session: Session, example: Example, feed: Feed) -> Prediction:
        form, names, labels = self.interface.boxes, self.interface.outputs, self.interface.labels
        if form is msgspec.UNSET or isinstance(example, str):
            raise UsageError("The bundle does not say how its outputs become boxes.")
        outputs = dict(zip(names, session.run(list(names), feed), strict=True))
        if not all(np.isfinite(array).all() for array in outputs.values()):
            raise DeviceError("The model's output is not finite, so that it says nothing.")
        (found,) = decode_boxes(form, names, [outputs], len(labels))
        height, width = example[IMAGE].shape[:2]
        corners = np.clip(found.boxes, 0.0, 1.0) * np.array([width, height, width, height])
        return Prediction(
            label=None,
            score=None,
            boxes=tuple(
                Box(
                    label=labels[kind],
                    score=float(score),
                    left=float(sides[0]),
                    top=float(sides[1]),
                    right=float(sides[2]),
                    bottom=float(sides[3]),
                )
                for kind, score, sides in zip(found.classes, found.scores, corners, strict=True)
                if score >= LEAST_SCORE
            ),
        )

    def _answer(self, session: Session, feed: Feed) -> Prediction:
        names = self.interface.outputs
        values = session.run(list(names), feed)
        outputs = dict(zip(names, values, strict=True))
        if not self.interface.classifies or not self.interface.labels:
            plain = {name: value.tolist() for name, value in outputs.items()}
            return Prediction(label=None, score=None, outputs=plain)
        scores = shares_of(self.interface, logits_of(self.interface, [outputs])[0])
        best = int(np.argmax(scores))
        labels = self.interface.labels
        return Prediction(
            label=labels[best],
            score=float(scores[best]),
            scores={label: float(score) for label, score in zip(labels, scores, strict=True)},
        )


def _check_array(item: ArrayInput, arrays: Mapping[str, Array]) -> None:
    """Raise UsageError unless there is such an array, of the graph's type and shape."""
    if item.name not in arrays:
        raise UsageError(f"The input {item.name!r} is missing; given are {', '.join(arrays)}.")
    array = arrays[item.name]
    fits = array.ndim == len(item.shape) and all(
        isinstance(want, str) or want == have
        for want, have in zip(item.shape, array.shape, strict=True)
    )
    if not fits or str(array.dtype) != item.dtype:
        raise UsageError(
            f"The input {item.name!r} is {array.dtype}{list(array.shape)}; the model takes "
            f"{item.dtype}{list(item.shape)}."
        )


def shares_of(interface: Interface, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """`[C]` logits to shares that sum to 1, or to scores of each label by itself.

    Raises:
        DeviceError: a logit is not finite.
    """
    try:
        return sigmoid(logits) if interface.apart else softmax(logits)
    except ValueError as error:
        raise DeviceError(str(error)) from error
