"""What is asked of a language model, by the process that measures: scores, and prompts to time.

In: a setup, files of token ids, a device. Out: what a fresh child on the device says of them. The
same serves the search, the gate, and `verify`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.choices import decode_questions
from deployopt.core.errors import DeviceError, IntegrityError, UsageError
from deployopt.core.interface import PromptInputs
from deployopt.core.samples import decode_samples, encode_samples
from deployopt.core.scores import Scored, decode_scored
from deployopt.core.workload import Workload
from deployopt.device.device import Device
from deployopt.device.generating.config import read_genai_config
from deployopt.device.generating.token_files import encode_answers
from deployopt.device.protocol import Evaluated, ScoreRequest, Working
from deployopt.device.setup import Answering, Limits, PromptPool, Setup, silent
from deployopt.store.staging import staged_folder
from deployopt.store.writing import write_new_file

CONTEXT: Final = 2048
"""Tokens that there is room for where nobody says more or less."""
QUESTION_S: Final = 10.0
"""More time that a process may take for each question with choices."""
_PREPACKED: Final = 1.5
"""A process takes up to so many times its weights' size: some are packed anew when it loads."""
_PIECES_BYTES: Final = 128 * 2**20
"""Of logits of a piece of a prompt, in the runtime and beside it."""

Progress = Callable[[float, str], None]


class Questions(msgspec.Struct, frozen=True, kw_only=True):
    """Files of token ids (core/samples.py): documents, prompts with known answers, timed ones.

    `choices` has questions with choices (core/choices.py), where some are asked.
    """

    documents: Path
    asked: Path
    timed: Path
    choices: Path | None = None


def answering_of(workload: Workload, inputs: PromptInputs) -> Answering:
    """The workload's answers and context, as far as the model takes them.

    Raises:
        UsageError: more is asked than the model takes, or another scenario than one by one.
    """
    if workload.batch != 1 or workload.requests_per_s is not None:
        raise UsageError(
            "A language model is measured with one prompt after another for now: take the scenario "
            "single-stream and batch 1."
        )
    context = workload.context or min(CONTEXT, inputs.context)
    if context > inputs.context:
        raise UsageError(
            f"The workload asks for a context of {context} tokens, and the model takes "
            f"{inputs.context}."
        )
    if workload.answer >= context:
        raise UsageError(
            f"An answer of {workload.answer} tokens leaves no room for a prompt in a context of "
            f"{context}."
        )
    return Answering(tokens=workload.answer, context=context)


def score(  # noqa: PLR0913 -- who is asked what, where, and what it may take
    setup: Setup,
    questions: Questions,
    reference: Scored,
    answering: Answering,
    workdir: Path,
    device: Device,
    *,
    fill: bool = True,
    limits: Limits = Limits(),  # noqa: B008 -- frozen
    progress: Progress = silent,
) -> tuple[Scored, Evaluated]:
    """Score the documents, compare choices with the reference's answers, answer the timed prompts.

    With `fill` a context is filled to its end first, for the memory that this takes.

    Raises:
        DeviceError: the model crashed, hung, or took more than it may.
        IntegrityError: a file is not what it should be.
        UsageError: a text is not one that the model takes.
    """

    def watch(sign: Working) -> None:
        progress(sign.share, sign.what)

    with staged_folder(workdir.absolute()) as folder:
        chosen, result = folder / "chosen.npz", folder / "scores.npz"
        write_new_file(chosen, encode_answers(reference.chosen))
        request = ScoreRequest(
            setup=msgspec.structs.replace(setup, model=setup.model.absolute()),
            documents=questions.documents.absolute(),
            asked=questions.asked.absolute(),
            chosen=chosen,
            timed=questions.timed.absolute(),
            choices=None if questions.choices is None else questions.choices.absolute(),
            context=answering.context,
            tokens=answering.tokens,
            fill=fill,
            result=result,
        )
        reply = device.ask(request, _patient(limits, questions), watch)
        if not isinstance(reply, Evaluated):
            raise DeviceError("The model's process answered another question.")
        return decode_scored(result), reply


def _patient(limits: Limits, questions: Questions) -> Limits:
    """Questions may be thousands, and a device slow; one that hangs gives no sign of life."""
    if questions.choices is None:
        return limits
    more = QUESTION_S * len(decode_questions(questions.choices))
    return msgspec.structs.replace(limits, wall_s=limits.wall_s + more)


def prompt_pool(questions: Questions, scored: Scored) -> PromptPool:
    """The timed prompts, with the answers that the model gave to them when it was scored."""
    prompts = tuple(decode_samples(questions.timed))
    if len(prompts) != len(scored.answers):
        raise IntegrityError("The timed prompts and the answers expected of them do not fit.")
    return PromptPool(prompts=prompts, expected=scored.answers)


def write_prompts(pool: PromptPool, folder: Path) -> tuple[Path, Path | None]:
    """Files of the prompts and of the answers expected, as a round takes them."""
    prompts = folder / "prompts.npz"
    write_new_file(prompts, encode_samples(pool.prompts))
    if pool.expected is None:
        return prompts, None
    if len(pool.expected) != len(pool.prompts):
        raise IntegrityError("The timed prompts and the answers expected of them do not fit.")
    expected = folder / "expected.npz"
    write_new_file(expected, encode_answers(pool.expected))
    return prompts, expected


def expected_bytes(setup: Setup, answering: Answering) -> int:
    """What a process takes beside the runtime's own: weights, keys and values, logits."""
    config = read_genai_config(setup.model)
    graph = setup.model.with_name(config.model.decoder.filename)
    files = (path for path in graph.parent.glob(f"{graph.name}*") if path.is_file())
    weights = sum(path.stat().st_size for path in files)
    return int(_PREPACKED * weights) + config.kv_bytes(answering.context) + _PIECES_BYTES
