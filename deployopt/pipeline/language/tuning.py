"""What a language model's fine-tuning starts from: dialogues as tokens, options, and the job.

In: a request and its base. Out: samples of three splits, cut to the length that is trained with.
Refuses data that teaches nothing, and what does not fit the target. Too long dialogues lose their
last turns, documents are cut into pieces; what has no answer within the length is left out and
said.
"""

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.dialogues import Form, Sample
from deployopt.core.errors import UsageError
from deployopt.core.interface import Interface, PromptInputs
from deployopt.core.target import Target
from deployopt.core.tasks import ModelTask
from deployopt.core.training_request import FinetuneRequest
from deployopt.core.watching import Watcher
from deployopt.modeling.training.job import Words
from deployopt.modeling.training.ranks import is_leader, told_by_leader, wait
from deployopt.pipeline.language.cutting import cut_to
from deployopt.pipeline.language.rendering import Rendered, Renderer
from deployopt.pipeline.training_options import Settled, Subject, settle_options
from deployopt.pipeline.training_sites import this_site
from deployopt.planning.architectures import read_architecture
from deployopt.sources.checks import read_vocabulary
from deployopt.sources.dialogue_data import DialogueData, read_dialogue_data
from deployopt.sources.folder import ENTRY, OUTPUT, model_type
from deployopt.sources.headers import stored_weights
from deployopt.sources.training_base import TrainingBase
from deployopt.sources.training_lots import HELD_OUT, TRAIN, VALIDATION

_CLUSTERS_MIN: Final = 5


class PreparedDialogues(msgspec.Struct, frozen=True, kw_only=True):
    """A language model's."""

    request: FinetuneRequest
    base: TrainingBase
    settled: Settled
    data: DialogueData
    interface: Interface
    parts: dict[str, tuple[Sample, ...]]
    texts: tuple[str, ...]
    """The held-out dialogues as the model reads them."""
    notes: tuple[str, ...]

    @property
    def digests(self) -> dict[str, str]:
        """As above."""
        return self.data.digests

    @property
    def examples(self) -> dict[str, int]:
        """As above."""
        return {name: len(part) for name, part in self.data.parts.items()}

    @property
    def labels(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def judged(self) -> int:
        """By two models, the base and the tuned."""
        return 2 * len(self.parts[HELD_OUT])

    def lessons(self) -> Words:
        """Samples as they are."""
        return Words(
            interface=self.interface, train=self.parts[TRAIN], validation=self.parts[VALIDATION]
        )


def prepare_dialogues(
    request: FinetuneRequest, base: TrainingBase, here: Callable[[], Target], watcher: Watcher
) -> PreparedDialogues:
    """Read, render, settle; `here` is where it is trained unless the request names a target.

    Raises:
        UsageError: the data, an option, or a base that cannot tell turns apart.
        CannotFitError: it surely does not fit the target.
        RefusedInputError: the model's template broke its process.
    """
    inputs = base.inputs
    if not isinstance(inputs, PromptInputs):
        raise UsageError(f"{base.name} is no language model.")
    if is_leader():
        wait()
    data = read_dialogue_data(request.data, request.evaluation_data, request.columns)
    watcher.stage("dialogues as tokens")
    with Renderer(base, data.form) as renderer:
        rendered = {
            name: renderer.render(part, data.where[name]) for name, part in data.parts.items()
        }
        templated = renderer.templated
    decided = ""
    if is_leader():
        decided = encode_json(_settle(request, base, rendered, here)).decode()
    settled = decode_json(told_by_leader(decided).encode(), Settled, where="the options")
    notes = [*data.notes, _read_as(base, data.form, templated=templated)]
    cuts = {
        name: cut_to(settled.options.length, one.samples, whole=data.form is not Form.TEXT)
        for name, one in rendered.items()
    }
    notes += [note for name, cut in cuts.items() for note in cut.said(f"the {name} split")]
    parts = {name: cut.samples for name, cut in cuts.items()}
    _require_parts(parts, rendered, settled.options.length, data)
    return PreparedDialogues(
        request=request,
        base=base,
        settled=settled,
        data=data,
        interface=Interface(task=base.task, inputs=inputs, outputs=(OUTPUT,)),
        parts=parts,
        texts=rendered[HELD_OUT].texts,
        notes=tuple(notes),
    )


def _settle(
    request: FinetuneRequest,
    base: TrainingBase,
    rendered: dict[str, Rendered],
    here: Callable[[], Target],
) -> Settled:
    config = read_vocabulary(base.folder / ENTRY)
    inputs = base.inputs
    samples = rendered[TRAIN].samples
    subject = Subject(
        name=base.name,
        architecture=read_architecture(config, stored_weights(base.folder)),
        task=ModelTask.TEXT_GENERATION,
        examples=len(samples),
        lengths=[len(one.ids) for one in samples],
        length_max=inputs.context if isinstance(inputs, PromptInputs) else 1,
        model_type=model_type(config),
    )
    return settle_options(request, subject, request.target or here(), this_site())


def _read_as(base: TrainingBase, form: Form, *, templated: bool) -> str:
    if templated:
        return (
            f"Turns are written by {base.name}'s own chat template; what is learnt is the "
            "assistant's words and where they end."
        )
    if form is Form.TEXT:
        return "All of a document is learnt, and where it ends; no chat template is used."
    return (
        f"{base.name} has no chat template: the answer follows the prompt as both stand, and is "
        "what is learnt."
    )


def _require_parts(
    parts: dict[str, tuple[Sample, ...]], rendered: dict[str, Rendered], length: int,
    data: DialogueData,
) -> None:  # fmt: skip
    for name, least in ((TRAIN, 1), (VALIDATION, 1), (HELD_OUT, _CLUSTERS_MIN)):
        if len({sample.of for sample in parts[name]}) < least:
            typical = int(np.median([len(one.ids) for one in rendered[name].samples] or [0]))
            raise UsageError(
                f"{data.where[name]} leaves too little for the {name} split within {length} "
                f"tokens; half of its lines have more than {typical}. Give a greater --length, or "
                "shorter dialogues."
            )


def held_out_lines(prepared: PreparedDialogues) -> bytes:
    """The held-out dialogues as a data file: turns, and the text that a build is judged by."""
    lines = []
    for dialogue, text in zip(prepared.data.parts[HELD_OUT], prepared.texts, strict=True):
        turns = [_message(turn.role, turn.content, learnt=turn.learnt) for turn in dialogue.turns]
        row: dict[str, object] = {"messages": turns} if turns else {}
        lines.append(msgspec.json.encode(row | {"text": text or dialogue.said}))
    return b"\n".join(lines) + b"\n"


def _message(role: str, content: str, *, learnt: bool) -> dict[str, object]:
    said: dict[str, object] = {"role": role, "content": content}
    return said if learnt else said | {"weight": 0}
