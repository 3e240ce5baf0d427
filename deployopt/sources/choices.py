"""Questions with choices for a language model: token ids, to choose by and to judge by.

In: a file of questions (sources/choice_lines.py), the model whose tokenizer reads them. Out: the
splits search and gate, chosen by content and seed. A question that is there twice is left out,
because each counts as one observation. Refuses too few questions, one that is there with two
answers, and one that is longer than the model takes.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from deployopt.core.bundle import Origin
from deployopt.core.choices import ChoiceQuestion, encode_questions
from deployopt.core.errors import UsageError
from deployopt.core.interface import PromptInputs
from deployopt.core.measurement import Split
from deployopt.core.source import Dataset, SourceModel
from deployopt.sources.adopting import file_entries
from deployopt.sources.choice_lines import AskedQuestion, read_choice_lines
from deployopt.sources.documents import encoded_ids
from deployopt.sources.locking import Lock, check_locked
from deployopt.sources.parts import split_files
from deployopt.sources.placing import located
from deployopt.sources.tokenizer_files import TOKENIZER, open_tokenizer
from deployopt.store.keys import cache_key
from deployopt.store.store import Store, StoredObject
from deployopt.store.writing import write_new_file

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SEARCH_QUESTIONS: Final = 100
GATE_QUESTIONS: Final = 4_000
"""Enough for a budget of one point where 4 % of the answers differ; more would cost hours."""
QUESTIONS_MIN: Final = 40
_VERSION: Final = 1
_CHARACTERS_A_TOKEN: Final = 64
_SEARCH_PART: Final = 5
"""Of few questions, every fifth is to choose by."""


class _Beside(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands beside the splits in the store."""

    counts: dict[str, int]
    notes: tuple[str, ...]


def load_choices(
    spec: str, *, model: SourceModel, store: Store, seed: int = 0, lock: Lock | None = None
) -> Dataset:
    """The splits search and gate of a file of questions, in the form of core/choices.py.

    Raises:
        UsageError: no such file, a line is wrong, or there are too few questions.
        IntegrityError: its bytes are not the ones that were locked.
    """
    inputs = model.interface.inputs
    if not isinstance(inputs, PromptInputs):
        raise UsageError(f"{model.name} is no language model: it takes labelled data.")
    path = located(spec)
    if not path.is_file():
        raise UsageError(f"There is no file of questions {spec}.")
    entries = file_entries(path.parent, (path.name,), store)
    origin = Origin(asked=spec, resolved=f"file {path.name}", files=entries)
    check_locked(origin, lock)
    tokenizer_file = model.artifact.folder / TOKENIZER
    key = cache_key(
        {
            "source": "choices",
            "version": _VERSION,
            "seed": seed,
            "name": path.name,
            "file": entries[0].sha256,
            "tokenizer": store.memo.sha256(tokenizer_file),
            "context": inputs.context,
        }
    )
    stored = store.lookup(key)
    if stored is None:
        asked = read_choice_lines(path)
        reader = QuestionReader(path, open_tokenizer(tokenizer_file), inputs.context)
        stored = _write(asked, reader, store, key, seed)
    beside = msgspec.json.decode(stored.meta, type=_Beside)
    return Dataset(
        name=path.name,
        labelled=True,
        splits=split_files(stored, beside.counts),
        origin=origin,
        notes=beside.notes,
    )


class QuestionReader:
    """Reads questions as a model does."""

    def __init__(self, path: Path, tokenizer: "Tokenizer", longest: int) -> None:
        self.path = path
        self._tokenizer = tokenizer
        self._longest = longest

    def read(self, asked: AskedQuestion) -> ChoiceQuestion:
        """Question and choice are read together, and the choice is what the question is not."""
        longest = max(map(len, asked.choices))
        if len(asked.prompt) + longest > _CHARACTERS_A_TOKEN * self._longest:
            raise self._wrong(asked, f"it is far longer than the model takes, {self._longest:,}.")
        prompt = encoded_ids(self._tokenizer, asked.prompt)
        choices = []
        for at, choice in enumerate(asked.choices):
            whole = encoded_ids(self._tokenizer, f"{asked.prompt} {choice}")
            added = tuple(whole[len(prompt) :])
            if not prompt or not added:
                raise self._wrong(asked, f"choice {at} has no token of its own in this model.")
            if len(prompt) + len(added) > self._longest:
                raise self._wrong(
                    asked,
                    f"with choice {at} it has {len(prompt) + len(added):,} tokens, and the model "
                    f"takes {self._longest:,}. Leave it out.",
                )
            choices.append(added)
        return ChoiceQuestion(
            prompt=tuple(prompt),
            choices=tuple(choices),
            sizes=tuple(len(choice.encode()) for choice in asked.choices),
            answer=asked.answer,
        )

    def _wrong(self, asked: AskedQuestion, text: str) -> UsageError:
        return UsageError(f"{self.path}, line {asked.line}: {text}")


def _different(path: Path, asked: Sequence[AskedQuestion]) -> Iterator[AskedQuestion]:
    """Each question once, whatever the order of its choices.

    Raises:
        UsageError: one has another answer the second time.
    """
    seen: dict[tuple[str, frozenset[str]], AskedQuestion] = {}
    for one in asked:
        first = seen.setdefault((one.prompt, frozenset(one.choices)), one)
        if first is one:
            yield one
        elif first.choices[first.answer] != one.choices[one.answer]:
            raise UsageError(
                f"{path}, line {one.line}: the question of line {first.line} once more, with "
                "another answer. Leave both out, or correct one."
            )


def _write(
    asked: Sequence[AskedQuestion], reader: QuestionReader, store: Store, key: str, seed: int
) -> StoredObject:
    path = reader.path
    different = list(_different(path, asked))
    if len(different) < QUESTIONS_MIN:
        raise UsageError(
            f"{path} holds {len(different)} questions that differ. At least {QUESTIONS_MIN} are "
            "needed to choose and to judge by; to prove a loss of at most one point takes some "
            "thousands."
        )
    ranked = sorted(different, key=lambda one: _rank(one, f"{path.name}/{seed}"))
    search = min(SEARCH_QUESTIONS, len(ranked) // _SEARCH_PART)
    chosen = [reader.read(one) for one in ranked[: search + GATE_QUESTIONS]]
    splits = {Split.SEARCH: chosen[:search], Split.GATE: chosen[search:]}
    beside = _Beside(
        counts={split.value: len(part) for split, part in splits.items()},
        notes=_said(path.name, splits[Split.GATE], len(asked) - len(different)),
    )
    with store.stage() as staged:
        for split, part in splits.items():
            write_new_file(staged / f"{split.value}.npz", encode_questions(part))
        return store.commit(staged, key, meta=msgspec.json.encode(beside))


def _rank(asked: AskedQuestion, salt: str) -> bytes:
    parts = (salt, asked.prompt, *sorted(asked.choices))
    return hashlib.sha256(msgspec.json.encode(parts)).digest()


def _said(name: str, gate: Sequence[ChoiceQuestion], repeated: int) -> tuple[str, ...]:
    tokens = sum(one.tokens for one in gate)
    guessing = sum(1.0 / len(one.choices) for one in gate) / len(gate)
    kinds = Counter(len(one.choices) for one in gate)
    choices = f"{min(kinds)}" if len(kinds) == 1 else f"{min(kinds)} to {max(kinds)}"
    shown = (
        f"{name}: {len(gate):,} questions of {choices} choices judge, {tokens:,} tokens for each "
        f"model; guessing is right in {guessing:.1%}. ".replace("%", " %")
        + "A model's choice is the one whose text is likeliest by its bytes, without the chat "
        "template."
    )
    left = f"{name}: left out: {repeated:,} that are there more than once."
    return (shown, left) if repeated else (shown,)
