"""The one command fails when any part fails, and says which."""

import sys
from pathlib import Path

import pytest

from tools import check

Part = check.Part


def python(name: str, code: str) -> Part:
    return name, [sys.executable, "-c", code]


def test_parts_beside_each_other_all_run_and_are_shown_whole(
    capfd: pytest.CaptureFixture[str],
) -> None:
    one = [python("one", "print('a'); print('b')"), python("two", "print('c')")]
    assert check.beside(one, [python("three", "import sys; sys.exit('said')")]) == 1
    shown = capfd.readouterr().out
    assert "== one\na\nb\n== one: ok, " in shown
    assert "== three\nsaid\n== three: FAILED (1), " in shown


def test_a_lane_ends_where_a_part_fails(tmp_path: Path) -> None:
    marked = python("late", f"open({str(tmp_path / 'late')!r}, 'w')")
    failing = python("early", "raise SystemExit(7)")
    assert check.beside([failing, marked]) == 7
    assert check.in_order([failing, marked]) == 7
    assert not (tmp_path / "late").exists()
    assert check.beside([marked], [python("well", "")]) == 0
    assert (tmp_path / "late").exists()


def test_all_tests_but_those_of_a_gpu_or_a_network_are_selected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[str] = []

    def note(*lanes: list[Part]) -> int:
        ran.extend(" ".join(map(str, command)) for lane in lanes for _, command in lane)
        return 0

    monkeypatch.setattr(check, "beside", note)
    monkeypatch.setattr(check, "in_order", note)
    monkeypatch.setattr(check, "interpreter", lambda version: f"/python{version}")
    for name in ("DEPLOYOPT_SMALL_PYTHON", "CI", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.setenv(name, "")  # it changes them
    assert check.everything() == 0
    tested = [line for line in ran if " -m pytest " in line]
    assert len(tested) == 4
    assert tested[-1].endswith("(torch or slow or openvino or arm) and not gpu and not network")
    for part in ("ruff format --check", "ruff check", "mypy", "lint-imports", "generate_docs.py"):
        assert any(part in line for line in ran), part


def test_programs_that_the_system_lacks_are_installed_by_root_and_else_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = {"ssh", "gcc", "apt-get"}

    def which(name: str, path: str = "") -> str | None:
        del path
        return name if name in there else None

    monkeypatch.setattr("shutil.which", which)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("DEBIAN_FRONTEND", "")  # it changes it
    installed = [command for _, command in check.system_packages()]
    assert installed[0][:2] == ["apt-get", "update"]
    assert set(check.SYSTEM) <= set(map(str, installed[1]))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert check.system_packages() == []
    assert "sshd, qemu-aarch64, mmdebstrap not here" in capsys.readouterr().out
    there |= set(check.PROGRAMS)
    assert check.system_packages() == []
