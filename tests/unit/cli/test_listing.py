"""`targets` and `gc` on stdout and stderr."""

import json
import os
from pathlib import Path

import pytest

from deployopt.cli.main import run
from deployopt.core.errors import ExitCode
from deployopt.planning.targets import target_names
from deployopt.store.locks import hold
from deployopt.store.store import Store
from deployopt.store.writing import write_new_file


def test_the_list_names_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "--json"]) == ExitCode.ACCEPTED
    listed = [target["name"] for target in json.loads(capsys.readouterr().out)]
    assert listed == list(target_names())
    assert run(["targets"]) == ExitCode.ACCEPTED
    shown = capsys.readouterr().err
    assert all(name in shown for name in listed)


def test_a_printed_target_can_be_built_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["targets", "rpi4", "--toml"]) == ExitCode.ACCEPTED
    own = tmp_path / "mine.toml"
    own.write_text(capsys.readouterr().out.replace('name = "rpi4"', 'name = "mine"'))
    assert run(["targets", str(own)]) == ExitCode.ACCEPTED
    assert "mine" in capsys.readouterr().err


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "--schema"]) == ExitCode.ACCEPTED
    assert json.loads(capsys.readouterr().out)["$schema"].startswith("https://json-schema.org/")


def test_an_unknown_target_is_named_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "rpi-4"]) == ExitCode.USAGE
    assert "rpi4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "stays", "goes"),
    [
        ("emulation", "What `emulate` fetched stays", "1 emulated systems"),
        ("engines", "What TensorRT built stays", "1 folders of engines"),
    ],
)
def test_what_is_dear_to_make_again_is_told_and_goes_with_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, stays: str, goes: str
) -> None:
    system = tmp_path / kind / "debian-13"
    system.mkdir(parents=True)
    (system / "libc.so").write_bytes(b"x" * 2**20)
    words = ["gc", "--store", str(tmp_path)]
    assert run(words) == ExitCode.ACCEPTED
    told = " ".join(capsys.readouterr().err.split())
    assert f"{stays}, 1.00 MiB; --all removes it." in told
    held = hold(system)
    assert held is not None
    assert run([*words, "--all"]) == ExitCode.ACCEPTED
    assert "1 in use stay" in " ".join(capsys.readouterr().err.split())
    assert system.is_dir()
    os.close(held)
    assert run([*words, "--all"]) == ExitCode.ACCEPTED
    assert goes in " ".join(capsys.readouterr().err.split())
    assert not system.exists()


def test_cleaning_says_what_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(tmp_path) as store, store.stage() as folder:
        write_new_file(folder / "x", b"x" * 5000)
        store.commit(folder, "0" * 64)
    words = ["gc", "--all", "--store", str(tmp_path)]
    assert run([*words, "--dry-run"]) == ExitCode.ACCEPTED
    assert "1 objects" in capsys.readouterr().err
    assert run([*words, "--json"]) == ExitCode.ACCEPTED
    assert json.loads(capsys.readouterr().out)["objects"] == 1
    assert run(words) == ExitCode.ACCEPTED
    assert "0 objects" in capsys.readouterr().err
