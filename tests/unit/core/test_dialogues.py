"""What tells dialogues apart, and what may resemble another's."""

import msgspec

from deployopt.core.dialogues import Dialogue, Form, Turn

ASKED = Turn(role="user", content="Hello")
ONE = Dialogue(turns=(ASKED, Turn(role="assistant", content="Hi.")), line=3)


def test_the_line_is_no_part_of_the_identity_and_all_else_is() -> None:
    assert msgspec.structs.replace(ONE, line=9).identity == ONE.identity
    unlearnt = Turn(role="assistant", content="Hi.", learnt=False)
    others = [
        msgspec.structs.replace(ONE, turns=ONE.turns[:1]),
        msgspec.structs.replace(ONE, turns=(ASKED, unlearnt)),
        msgspec.structs.replace(ONE, text="Hello"),
    ]
    assert len({ONE.identity, *(one.identity for one in others)}) == 4


def test_system_prompts_do_not_make_dialogues_alike() -> None:
    system = Turn(role="system", content="You are a clerk.")
    assert msgspec.structs.replace(ONE, turns=(system, *ONE.turns)).said == ONE.said
    assert ONE.said == "Hello\nHi.\n"


def test_which_forms_tell_turns_apart() -> None:
    assert [form for form in Form if form.turns] == [Form.MESSAGES, Form.CONVERSATIONS]
