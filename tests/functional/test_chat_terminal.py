"""`chat` as a person at a terminal sees it."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.language_bundles import make_language_bundle
from tests.fakes.talkers import make_talker
from tests.fakes.terminal import CTRL_C, CTRL_D, Terminal
from tests.functional.conftest import child_environment

SCRIPTS = ("你好 \x1b[31m\x1b]0;owned\x07 ##.", "y" * 400, "Third ##")
Start = Callable[..., Terminal]


@pytest.fixture(scope="module")
def slow_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its second answer takes seconds."""
    folder = tmp_path_factory.mktemp("terminal")
    model = make_talker(folder / "model", SCRIPTS, slow=True)
    return make_language_bundle(model, folder / "bundle", context=512)


@pytest.fixture
def start(slow_bundle: Path, tmp_path: Path) -> Iterator[Start]:
    """Begin a chat, and wait for its prompt."""
    running: list[Terminal] = []

    def begin(*words: object) -> Terminal:
        command = [sys.executable, "-m", "deployopt", "chat", slow_bundle, *words]
        running.append(Terminal(command, tmp_path, child_environment()))
        running[-1].wait_for("ends the chat[^>]*> ")
        return running[-1]

    yield begin
    for terminal in running:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.process.wait()


def test_ctrl_c_stops_the_answer_and_not_the_chat(start: Start, tmp_path: Path) -> None:
    terminal = start("--transcript", "said.jsonl")
    terminal.type("Hello\r")
    shown = terminal.wait_for("a second[^>]*> ")
    # The letters of what would paint the screen are there, and nothing that paints it.
    assert re.search(r"你好 \[31m\]0;owned \d\d\.\r\n", shown)
    assert "\x1b[31m" not in shown
    terminal.type("more\r")
    terminal.wait_for("yyy")
    terminal.type(CTRL_C)
    terminal.wait_for("Stopped[^>]*> ")
    terminal.type("go on\r")
    terminal.wait_for(r"Third \d\d[^>]*> ")
    terminal.type("/save kept.jsonl\r")
    terminal.wait_for("Written to kept.jsonl[^>]*> ")
    terminal.type(CTRL_D)
    assert terminal.end() == 0
    kept = (tmp_path / "kept.jsonl").read_text("utf-8")
    assert kept == (tmp_path / "said.jsonl").read_text("utf-8")
    assert '"ended":"stopped"' in kept
    assert "Traceback" not in terminal.seen


def test_ctrl_c_twice_at_the_prompt_ends_it(start: Start) -> None:
    terminal = start()
    terminal.type("\r")
    terminal.wait_for("> ")
    terminal.settle()
    terminal.type(CTRL_C)
    terminal.wait_for("once more[^>]*> ")
    terminal.settle()
    terminal.type(CTRL_C)
    assert terminal.end() == 0
    assert "Traceback" not in terminal.seen


def test_nothing_is_wider_than_the_terminal(start: Start) -> None:
    terminal = start()
    terminal.type("/help\r")
    terminal.wait_for("this list[^>]*> ")
    terminal.type("/quit\r")
    assert terminal.end() == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.seen)
    assert max(len(line) for line in plain.splitlines()) <= 80
