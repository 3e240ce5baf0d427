"""Which bundles talk, and with how much room."""

from pathlib import Path

import pytest

from deployopt.core.errors import ExitCode, MissingExtraError, UsageError
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.chatting import opening
from deployopt.device.chatting.opening import context_of, open_model


def test_the_room_is_what_memory_was_judged_with(talking_bundle: Path) -> None:
    assert context_of(open_bundle(talking_bundle)) == 512


@pytest.mark.parametrize("context", [0, 31, 513, -1])
def test_a_context_that_the_model_does_not_have(talking_bundle: Path, context: int) -> None:
    with pytest.raises(UsageError, match="this model takes 512 at most"):
        open_model(open_bundle(talking_bundle), context=context)


def test_without_the_extra_one_is_told_how_to_get_it(
    talking_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'deployopt\[chat\]'") as caught:
        open_model(open_bundle(talking_bundle))
    assert caught.value.exit_code is ExitCode.USAGE
