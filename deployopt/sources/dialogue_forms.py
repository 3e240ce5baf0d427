"""One JSON object becomes a dialogue or a document, by the keys that people use.

In: an object, the form that it has, where it stands. Out: turns or a text. Refuses, with file and
line: roles that are not trained, turns without words, no answer to learn from, keys that say that
the answer depends on more than the turns (tools, images).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.dialogues import Dialogue, Form, Turn
from deployopt.core.errors import UsageError
from deployopt.core.generation import Role
from deployopt.core.text import safe_text

_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
_ANSWERS: Final = ("completion", "response")
_OUTPUTS: Final = ("output", "response")
_INPUTS: Final = ("input", "context")
_MORE: Final = ("tools", "functions", "tool_calls", "function_call", "images", "image", "videos",
    "audio", "audios", "history")  # fmt: skip
_SHOWN: Final = 60
FORMS: Final = (
    '{"messages": [{"role", "content"}, …]}, {"conversations": [{"from", "value"}, …]}, '
    '{"prompt", "completion"}, {"instruction", "input", "output"} or {"text"}'
)
Item = Mapping[str, object]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a file; `text` is the key that a person named for documents, if one did."""

    path: Path
    line: int
    text: str | None = None

    def wrong(self, what: str) -> UsageError:
        """What is to be raised about it."""
        return UsageError(f"{self.path}, line {self.line}: {what}")


def form_of(item: Item, place: Place) -> Form:
    """Which form an object has, by its keys.

    Raises:
        UsageError: none that is read.
    """
    keys = set(item)
    if place.text is not None:
        found = Form.TEXT if place.text in keys else None
    elif "messages" in keys:
        found = Form.MESSAGES
    elif "conversations" in keys:
        found = Form.CONVERSATIONS
    elif "prompt" in keys and keys & set(_ANSWERS):
        found = Form.PROMPT
    elif "instruction" in keys and keys & set(_OUTPUTS):
        found = Form.INSTRUCTION
    else:
        found = Form.TEXT if "text" in keys else None
    if found is not None:
        return found
    shown = safe_text(", ".join(sorted(keys)) or "(none)", 2 * _SHOWN)
    if place.text is not None:
        raise place.wrong(f"there is no {place.text!r}; the keys are {shown}.")
    pairs = " Pairs of preferred and rejected answers are not learnt from."
    hint = pairs if "chosen" in keys else ""
    raise place.wrong(f"the keys are {shown}; what is read is {FORMS}.{hint}")


def dialogue_of(item: Item, form: Form, place: Place) -> Dialogue:
    """The object as turns, or as a document.

    Raises:
        UsageError: it cannot be learnt from as it is; says why and where.
    """
    for key in _MORE:
        if item.get(key):
            raise place.wrong(
                f"{key!r} says that answers depend on more than the turns, and that is not "
                "trained. Leave such lines out."
            )
    if form is Form.TEXT:
        return Dialogue(text=_words(item, place.text or "text", place), line=place.line)
    turns = [*_system(item, form, place), *_turns(item, form, place)]
    return Dialogue(turns=_checked(turns, place), line=place.line)


def _system(item: Item, form: Form, place: Place) -> Iterator[Turn]:
    """A prompt before all turns, which some files keep in a key of its own."""
    if item.get("system") and form is not Form.MESSAGES:
        yield Turn(role="system", content=_words(item, "system", place))


def _turns(item: Item, form: Form, place: Place) -> Iterator[Turn]:
    if form.turns:
        yield from _listed(item[form.value], form.value, place)
    elif form is Form.PROMPT:
        key = next(name for name in _ANSWERS if name in item)
        yield from _side(item, "prompt", "user", place)
        yield from _side(item, key, "assistant", place)
    else:
        key = next(name for name in _OUTPUTS if name in item)
        more = next((str(item[name]) for name in _INPUTS if item.get(name)), "")
        asked = _words(item, "instruction", place)
        yield Turn(role="user", content=f"{asked}\n\n{more}" if more else asked)
        yield Turn(role="assistant", content=_words(item, key, place))


def _side(item: Item, key: str, role: Role, place: Place) -> Iterator[Turn]:
    """A text, or turns of its own."""
    if isinstance(item[key], list):
        yield from _listed(item[key], key, place)
    else:
        yield Turn(role=role, content=_words(item, key, place))


def _listed(given: object, key: str, place: Place) -> Iterator[Turn]:
    if not isinstance(given, list) or not given:
        raise place.wrong(f"{key!r} is no list of turns.")
    for at, turn in enumerate(given, start=1):
        if not isinstance(turn, dict):
            raise place.wrong(f"turn {at} of {key!r} is no object.")
        for name in _MORE:
            if turn.get(name):
                raise place.wrong(f"turn {at} has {name!r}, which is not trained. Leave it out.")
        who = turn.get("role", turn.get("from"))
        role = _ROLES.get(who.casefold()) if isinstance(who, str) else None
        if role is None:
            raise place.wrong(
                f"turn {at} is by {safe_text(repr(who), _SHOWN)}; system, user (human) and "
                "assistant (gpt) are read."
            )
        content = turn.get("content", turn.get("value"))
        yield Turn(role=role, content=_content(content, at, place), learnt=_learnt(turn, at, place))


def _learnt(turn: Item, at: int, place: Place) -> bool:
    weight = turn.get("weight", 1)
    if weight not in (0, 1):
        raise place.wrong(f"the weight of turn {at} is {safe_text(repr(weight), _SHOWN)}; 0 or 1.")
    return bool(weight)


def _content(given: object, at: int, place: Place) -> str:
    """Words; some files hold them as a list of parts."""
    if isinstance(given, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in given]
        if all(isinstance(part, str) for part in parts):
            return "".join(str(part) for part in parts)
    if not isinstance(given, str):
        kind = "missing" if given is None else f"of the type {type(given).__name__}"
        raise place.wrong(f"the words of turn {at} are {kind}.")
    return given


def _words(item: Item, key: str, place: Place) -> str:
    given = item.get(key)
    if not isinstance(given, str) or not given.strip():
        raise place.wrong(f"{key!r} has no words. Leave such lines out.")
    return given


def _checked(turns: list[Turn], place: Place) -> tuple[Turn, ...]:
    """The turns up to the last answer."""
    for at, turn in enumerate(turns, start=1):
        if turn.role == "system" and at > 1:
            raise place.wrong(f"turn {at} is a system prompt; only the first turn can be one.")
        if turn.role != "system" and not turn.content.strip():
            raise place.wrong(f"turn {at} has no words. Leave such lines out.")
    ends = [at for at, turn in enumerate(turns) if turn.role == "assistant" and turn.learnt]
    if not ends:
        raise place.wrong("there is no answer of the assistant's to learn from.")
    return tuple(turns[: ends[-1] + 1])
