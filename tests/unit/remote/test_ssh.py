"""How ssh is called, and what its last words become."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.errors import UnreachableError, UsageError
from deployopt.remote.address import Address, parse_address
from deployopt.remote.ssh import (
    COMMAND,
    DEVICE_PYTHON,
    OPTIONS,
    SSH_CONFIG,
    Settings,
    fatal_trouble,
    last_words,
    settings_here,
    ssh_command,
    unreachable,
)
from deployopt.remote.ssh_device import connected
from tests.unit.remote.conftest import StandIn

HERE = Address(user="pi", host="board", port=2222)
_NAME = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9._-]{0,20}\Z")


def test_what_ssh_is_called_with(stand_in: StandIn) -> None:
    with connected("ssh://pi@board:2222") as device:
        assert device.machine.cores
    (words,) = stand_in.calls
    assert words[0] == "-T"
    assert words[-2:] == ["board", COMMAND]
    assert words[-3] == "--"
    assert words[-7:-3] == ["-p", "2222", "-l", "pi"]
    assert words[1:-7] == [word for option in OPTIONS for word in ("-o", option)]
    wanted = {"BatchMode=yes", "StrictHostKeyChecking=yes", "ForwardAgent=no", "ForwardX11=no"}
    assert wanted <= set(OPTIONS)


@given(host=_NAME, user=st.none() | _NAME, port=st.none() | st.integers(1, 65535))
def test_the_host_stands_behind_the_end_of_options(
    host: str, user: str | None, port: int | None
) -> None:
    address = Address(host=host, user=user, port=port)
    words = ssh_command(parse_address(str(address)), Settings())
    assert words[-3:] == ["--", host, COMMAND]
    assert not any(word.startswith("-") for word in words[-2:])
    assert (user is None) == ("-l" not in words)


def test_a_configuration_of_ones_own(tmp_path: Path) -> None:
    config = tmp_path / "my config"
    config.write_text("")
    settings = settings_here({SSH_CONFIG: str(config), DEVICE_PYTHON: "/opt/python"})
    assert settings == Settings(config=config, python="/opt/python")
    words = ssh_command(HERE, settings)
    assert words[words.index("-F") + 1] == str(config)
    assert settings_here({SSH_CONFIG: "", DEVICE_PYTHON: ""}) == Settings()
    with pytest.raises(UsageError, match="not a file"):
        settings_here({SSH_CONFIG: str(tmp_path / "none")})
    with pytest.raises(UsageError, match="full path"):
        settings_here({DEVICE_PYTHON: "python3"})


def test_no_ssh_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnreachableError, match="There is no ssh on this machine"):
        ssh_command(HERE, Settings())


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_command_finds_a_python_that_fits(shell: str, tmp_path: Path) -> None:
    bad, good = tmp_path / "python3", tmp_path / "python3.12"
    bad.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.8.10\nexit 1\n')
    good.write_text('#!/bin/sh\ncase "$3" in *exec*) echo "$@";; esac\nexit 0\n')
    for name in ("sh", "grep", "head"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    bad.chmod(0o755)
    command = [f"/bin/{shell}", "-c", COMMAND]
    done = subprocess.run(
        command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 77
    assert done.stderr.strip() == "Python 3.8.10"
    good.chmod(0o755)
    done = subprocess.run(
        command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("-I -c import os,sys;exec(")


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (255, "@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", r"'\[board\]:2222'"),
        (255, "No ED25519 host key is known for board", "not known here"),
        (255, "pi@board: Permission denied (publickey).", "ssh-copy-id -p 2222 pi@board"),
        (255, "ssh: Could not resolve hostname board", "not known to this network"),
        (255, "x: line 1: Bad configuration option: y", "cannot be read"),
        (77, "", "found: none"),
        (77, "Python 3.9.2", "found: Python 3.9.2"),
        (127, "sh: not found", "runs no commands: sh: not found"),
    ],
)
def test_troubles_that_last(code: int, said: str, words: str) -> None:
    error = fatal_trouble(HERE, code, said)
    assert isinstance(error, UnreachableError)
    assert "ssh://pi@board:2222" in str(error)
    assert re.search(words, str(error))


def test_troubles_that_may_pass() -> None:
    assert fatal_trouble(HERE, 255, "Connection refused") is None
    assert fatal_trouble(HERE, 1, "Traceback") is None
    assert "Connection refused." in str(unreachable(HERE, 255, "ssh: Connection refused"))
    assert "ended (exit code 1): Traceback." in str(unreachable(HERE, 1, "Traceback"))


def test_last_words_are_shown_on_one_line() -> None:
    assert last_words("a\n\nb\x1b[31m\r\n") == "a | b[31m."
    assert last_words("") == "it said nothing."
