"""What the installed package asks for."""

from importlib import metadata

import pytest

from deployopt.core.requirements import Requirement, requirements

LINES = ["numpy>=1,<3; python_version < '3.13'", "rich", "torch>=2; extra == 'build'"]


def test_each_line_has_its_name_and_extras_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: LINES)
    assert requirements() == (
        Requirement(name="numpy", text=LINES[0]),
        Requirement(name="rich", text="rich"),
    )
    assert requirements()[0].versions == ">=1,<3; python_version < '3.13'"


def test_nothing_is_known_of_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> list[str]:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "requires", missing)
    assert requirements() == ()
