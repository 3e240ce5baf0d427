"""Dialogues split by content: what is learnt from, what chooses, what judges.

In: a file, perhaps a second one to judge with. Out: three disjoint sets. What resembles one another
lies on one side, and what resembles the held-out dialogues is left out of training; both are
counted and said. System prompts do not count for that: they are alike in all dialogues of a kind.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.dialogues import Dialogue, Form
from deployopt.core.errors import UsageError
from deployopt.sources.dialogues import SUFFIXES, Dialogues, read_dialogues
from deployopt.sources.parts import one_data_file
from deployopt.sources.splits import alike, assign_splits
from deployopt.sources.splitting import EXAMPLES_MIN
from deployopt.sources.training_lots import HELD_OUT, SALT, TRAIN, VALIDATION

_VALIDATION: Final = (5, 300)
_HELD_OUT: Final = (10, 500)
"""The least and the most."""
_HELD_OUT_USUAL: Final = 32
"""So many judge a build too; a fifth of the dialogues where they are few."""
_TRIES: Final = 16
_NEARLY: Final = 0.75


class DialogueData(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run learns from and is judged by."""

    form: Form
    parts: dict[str, tuple[Dialogue, ...]]
    digests: dict[str, str]
    """Split name to the sha256 of its contents."""
    where: dict[str, str]
    """Split name to the file that it is from."""
    notes: tuple[str, ...]
    judged_apart: bool
    """Whether the held-out dialogues came from a file of their own."""


def read_dialogue_data(
    data: str, evaluation: str | None, columns: Mapping[str, str] | None = None
) -> DialogueData:
    """The three sets.

    Raises:
        UsageError: no such file, malformed, or too little that differs.
    """
    source = _read(data, columns)
    _require_enough(len(source.dialogues), source.where, "")
    notes = [f"{source.where}: {len(source.dialogues)} lines of the form {source.form.value!r}."]
    notes += _repeated(source)
    where = dict.fromkeys((TRAIN, VALIDATION, HELD_OUT), source.where)
    if evaluation is None:
        parts = _cut(source.dialogues, source.where, notes)
    else:
        judge = _read(evaluation, columns)
        if judge.form.turns != source.form.turns or (judge.form is Form.TEXT) != (
            source.form is Form.TEXT
        ):
            raise UsageError(
                f"{judge.where} is of the form {judge.form.value!r}, and {source.where} of "
                f"{source.form.value!r}: the one would not judge what the other teaches."
            )
        notes += _repeated(judge)
        parts = _with_judge(source, judge, notes)
        where[HELD_OUT] = judge.where
    return DialogueData(
        form=source.form,
        parts=parts,
        digests={name: _digest(part) for name, part in parts.items()},
        where=where,
        notes=tuple(notes),
        judged_apart=evaluation is not None,
    )


def _read(name: str, columns: Mapping[str, str] | None) -> Dialogues:
    path = Path(name).expanduser()
    if not path.exists():
        raise UsageError(
            f"There is no file {name!r}. A language model is tuned with {', '.join(SUFFIXES)}; "
            "data of the hub are given as a file of that kind."
        )
    return read_dialogues(one_data_file(path, SUFFIXES), columns)


def _with_judge(
    source: Dialogues, judge: Dialogues, notes: list[str]
) -> dict[str, tuple[Dialogue, ...]]:
    held = judge.dialogues
    if len(held) < _HELD_OUT[0]:
        raise UsageError(
            f"{judge.where} holds {len(held)} different lines; at least {_HELD_OUT[0]} are needed "
            "to judge with."
        )
    groups = alike([one.said for one in (*held, *source.dialogues)]).tolist()
    judged = set(groups[: len(held)])
    pairs = zip(source.dialogues, groups[len(held) :], strict=True)
    free = [one for one, group in pairs if group not in judged]
    dropped = len(source.dialogues) - len(free)
    _require_enough(len(free), source.where, f"; {dropped} resemble those of {judge.where}")
    if dropped:
        notes.append(f"{dropped} training dialogues resemble held-out ones and were left out.")
    return _cut(free, source.where, notes, held_out=False) | {HELD_OUT: held}


def _cut(
    dialogues: Sequence[Dialogue], where: str, notes: list[str], *, held_out: bool = True
) -> dict[str, tuple[Dialogue, ...]]:
    """By content; the assignment is by hash, so that a small part may come out too small."""
    count = len(dialogues)
    wanted = {VALIDATION: _between(count // 10, _VALIDATION)}
    if held_out:
        few = min(_HELD_OUT_USUAL, count // 5)
        wanted[HELD_OUT] = _between(max(few, count // 10), _HELD_OUT)
    shares = {name: number / count for name, number in wanted.items()}
    shares = {TRAIN: 1 - sum(shares.values()), **shares}
    keys = [one.said for one in dialogues]
    for attempt in range(_TRIES):
        found = assign_splits(keys, shares=shares, salt=f"{SALT}/dialogues/{attempt}")
        cut = {name: sorted(rows.tolist()) for name, rows in found.indices.items()}
        enough = all(len(cut[name]) >= _NEARLY * number for name, number in wanted.items())
        if enough and cut[TRAIN]:
            break
    else:
        raise UsageError(
            f"{where} cannot be split: most of its {count} lines are near-duplicates of one "
            f"another ({found.groups} groups). Give more varied ones."
        )
    if count > found.groups:
        notes.append(
            f"{where}: {count - found.groups} near-duplicates were put on the side of those they "
            "resemble."
        )
    return {name: tuple(dialogues[at] for at in rows) for name, rows in cut.items()}


def _between(number: int, bounds: tuple[int, int]) -> int:
    return max(bounds[0], min(bounds[1], number))


def _require_enough(count: int, where: str, why: str) -> None:
    if count < EXAMPLES_MIN:
        raise UsageError(
            f"{where} leaves {count} different lines{why}; at least {EXAMPLES_MIN} are needed to "
            "train, to choose and to judge. Give more."
        )


def _repeated(found: Dialogues) -> Iterable[str]:
    if found.repeated:
        yield f"{found.where}: lines left out: {found.repeated} repeated."


def _digest(part: Sequence[Dialogue]) -> str:
    digest = hashlib.sha256()
    for one in part:
        content = one.identity.encode()
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()
