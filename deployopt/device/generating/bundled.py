"""A language model's bundle: what it is asked at the gate, and what its reference said of that.

In: a checked bundle, a device. Out: scores paired with the reference's, prompts with the answers
that are expected of them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.choices import ChoiceQuestion, decode_questions
from deployopt.core.errors import IntegrityError
from deployopt.core.evidence import Evidence
from deployopt.core.interface import PromptInputs
from deployopt.core.measurement import Split
from deployopt.core.scores import Scored, ScoreTrial, decode_scored, score_trial
from deployopt.device.bundle_reader import REFERENCE, OpenBundle
from deployopt.device.device import Device
from deployopt.device.generating.asking import Questions, answering_of, prompt_pool, score
from deployopt.device.setup import Answering, PromptPool, silent

DOCUMENTS: Final = "gate/examples.npz"
ASKED: Final = "gate/prompts.npz"
TIMED: Final = "gate/timed.npz"
CHOICES: Final = "gate/choices.npz"
Progress = Callable[[float, str], None]


class ScoredBundle(msgspec.Struct, frozen=True, kw_only=True):
    """What the model and its reference said of the gate split, and what is to be timed."""

    artifact: str
    reference: Scored
    scored: Scored
    pool: PromptPool
    answering: Answering
    questions: tuple[ChoiceQuestion, ...] = ()

    def trial(self, evidence: Evidence, *, exact_arithmetic: bool) -> ScoreTrial:
        """Both paired."""
        return score_trial(
            self.artifact,
            Split.GATE,
            evidence,
            self.reference,
            self.scored,
            questions=self.questions,
            exact_arithmetic=exact_arithmetic,
        )


def prompts_of_bundle(bundle: OpenBundle) -> Questions | None:
    """The gate split's files; None where the bundle lacks one of them."""
    listed = {file.path for file in bundle.manifest.files}
    if not {DOCUMENTS, ASKED, TIMED, REFERENCE} <= listed:
        return None
    folder: Path = bundle.folder
    return Questions(
        documents=folder / DOCUMENTS,
        asked=folder / ASKED,
        timed=folder / TIMED,
        choices=folder / CHOICES if CHOICES in listed else None,
    )


def asks_choices(bundle: OpenBundle) -> bool:
    """Whether its gate split has questions with choices."""
    found = prompts_of_bundle(bundle)
    return found is not None and found.choices is not None


def scored_bundle(
    bundle: OpenBundle,
    questions: Questions,
    device: Device,
    workdir: Path,
    *,
    progress: Progress = silent,
) -> ScoredBundle:
    """Ask the model as it ships, a full context included.

    Raises:
        DeviceError: the model crashed, hung, or took more than it may.
        IntegrityError: the bundle is not of a language model, or a file is not what it should be.
        UsageError: its workload asks for more than the model takes.
    """
    inputs = bundle.manifest.interface.inputs
    if not isinstance(inputs, PromptInputs):
        raise IntegrityError(f"{bundle.folder} does not say how its language model is asked.")
    answering = answering_of(bundle.target.workload, inputs)
    reference = decode_scored(bundle.folder / REFERENCE)
    scored, _ = score(
        bundle.setup_on(device.machine),
        questions,
        reference,
        answering,
        workdir,
        device,
        limits=device.limits(),
        progress=progress,
    )
    return ScoredBundle(
        artifact=bundle.manifest.artifact,
        reference=reference,
        scored=scored,
        pool=prompt_pool(questions, scored),
        answering=answering,
        questions=() if questions.choices is None else decode_questions(questions.choices),
    )
