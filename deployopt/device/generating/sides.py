"""Two language models that are compared: how each runs, what the new one is asked, if they can be.

In: a checked bundle. Out: a side. Refuses two whose tokenizers differ: the same text is other
tokens to each, so that neither their likelihoods nor their times a token are of the same thing.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.choices import ChoiceQuestion, decode_questions
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.interface import PromptInputs
from deployopt.core.measurement import Machine
from deployopt.core.samples import decode_samples
from deployopt.core.scores import Scored, decode_scored
from deployopt.core.text import safe_text
from deployopt.device.bundle_reader import REFERENCE, OpenBundle
from deployopt.device.generating.asking import Questions, answering_of
from deployopt.device.generating.bundled import prompts_of_bundle
from deployopt.device.setup import Answering
from deployopt.device.sides import Contender, notes_between, told_of, without_gate

TOKENIZER: Final = "tokenizer.json"
_TOKENIZER_BYTES: Final = 64 * 2**20


class LanguageSide(Contender, frozen=True, kw_only=True):
    """One of two language models."""

    inputs: PromptInputs
    questions: Questions
    """Its own gate split."""
    digests: tuple[str, ...]
    """Of the files in it that decide what is asked, and of the reference's answers."""
    reference: Scored

    @property
    def answering(self) -> Answering:
        """How its own workload has prompts answered."""
        return answering_of(self.target.workload, self.inputs)

    @property
    def documents(self) -> int:
        """How many it is judged by."""
        return len(decode_samples(self.questions.documents))

    @property
    def choices(self) -> tuple[ChoiceQuestion, ...]:
        """Questions with choices, where its gate split has some."""
        found = self.questions.choices
        return () if found is None else decode_questions(found)

    @property
    def tokenizer(self) -> Path:
        """Beside the model; a bundle that was put together by hand may have none."""
        return self.setup.model.with_name(TOKENIZER)


def language_side_of(bundle: OpenBundle, machine: Machine) -> LanguageSide:
    """A bundle as it runs on this machine.

    Raises:
        UsageError: it holds no gate split, so that it cannot be asked anything.
        IntegrityError: it does not say how its model is asked.
    """
    manifest, questions = bundle.manifest, prompts_of_bundle(bundle)
    if questions is None:
        raise without_gate(bundle)
    inputs = manifest.interface.inputs
    if not isinstance(inputs, PromptInputs):
        raise IntegrityError(f"{bundle.folder} does not say how its language model is asked.")
    digests = {file.path: file.sha256 for file in manifest.files}
    return LanguageSide(
        told=told_of(bundle),
        target=bundle.target,
        setup=bundle.setup_on(machine),
        inputs=inputs,
        questions=questions,
        digests=tuple(
            digests[path.relative_to(bundle.folder).as_posix()]
            for path in (questions.documents, questions.asked, bundle.folder / REFERENCE)
        ),
        reference=decode_scored(bundle.folder / REFERENCE),
        files={path: digests[path] for path in manifest.deployed},
        reduced_range=bundle.reduced_range(),
    )


def require_same_tokens(old: tuple[str, Path], new: tuple[str, Path]) -> None:
    """Both must read a text as the same tokens; each is given by its name and its tokenizer's file.

    Raises:
        UsageError: they do not, or only one of them has a tokenizer.
    """
    if _words(old[1]) != _words(new[1]):
        raise UsageError(
            f"{safe_text(old[0])} and {safe_text(new[0])} cannot be compared: their tokenizers "
            "differ, so that the same text is other tokens to each. Name two of one family, or run "
            "`deployopt verify` on each."
        )


def language_notes_of(old: LanguageSide, new: LanguageSide) -> tuple[str, ...]:
    """What a reader has to know of how they differ."""
    asked, mine = [], new.answering
    if old.target.workload != new.target.workload:
        asked.append(
            f"Their workloads differ: both answer as the new one's says, {mine.tokens} tokens in a "
            f"context of {mine.context:,}."
        )
    if old.digests[:2] != new.digests[:2]:
        asked.append(
            f"Their gate splits differ: both read the new one's {new.documents} documents. Whether "
            "the old one was made with some of them is not known here."
        )
    elif old.digests != new.digests:
        asked.append("They were made of different models: each was judged by its own reference.")
    return notes_between(old, new, *asked, same=old.is_same_model(new))


class _Tokenizer(msgspec.Struct, frozen=True):
    """The parts that decide which tokens a text becomes; the file has others."""

    model: object = None
    added_tokens: object = None
    normalizer: object = None
    pre_tokenizer: object = None


def _words(path: Path) -> _Tokenizer | bytes | None:
    """What it makes of a text; None where there is no file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        data = file.read(_TOKENIZER_BYTES)
    try:
        return msgspec.json.decode(data, type=_Tokenizer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return data
