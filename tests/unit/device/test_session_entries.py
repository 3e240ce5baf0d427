"""Which entries a bundle may give to the runtime."""

import pytest

from deployopt.core.artifact import SessionOptions
from deployopt.core.errors import RefusedInputError
from deployopt.device.session_entries import ENTRIES_ALLOWED, allowed_entries


def test_entries_come_by_name() -> None:
    backwards = sorted(ENTRIES_ALLOWED, reverse=True)
    found = SessionOptions(config_entries=dict.fromkeys(backwards, "1"))
    assert allowed_entries(found) == [(name, "1") for name in sorted(ENTRIES_ALLOWED)]


@pytest.mark.parametrize(
    "name",
    ["ep.share_ep_contexts", "session.load_model_format", "custom_ops_library", "intra_op\u2028x"],
)
def test_others_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(RefusedInputError, match="not one that a bundle may set") as refused:
        allowed_entries(SessionOptions(config_entries={name: "1"}))
    assert len(str(refused.value).splitlines()) == 1
