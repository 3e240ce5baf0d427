"""The model's process, real ones and ones that misbehave."""

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deployopt.core.errors import DeviceError, IntegrityError, UsageError
from deployopt.core.generation import Ended, Message, Sampling
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.chatting.process import ModelProcess
from deployopt.device.setup import Setup
from tests.fakes.children import SPEAK
from tests.unit.device.chatting.conftest import GREETING

SETUP = Setup(artifact="a" * 64, model=Path("/m/genai_config.json"), threads=1)
HELLO = [Message(role="user", content="Hello")]
OPENED = "say(type='opened', chat=True, takes_system=True, why_not='')\n"


@pytest.fixture
def process(talking_bundle: Path) -> Iterator[ModelProcess]:
    made = ModelProcess(open_bundle(talking_bundle).setup, 512)
    yield made
    made.close()


def made_up(source: str) -> ModelProcess:
    """A child that does as the source says after it was told to open the model."""
    return ModelProcess(SETUP, 64, (sys.executable, "-c", SPEAK + source))


def ask(process: ModelProcess) -> str:
    return "".join(process.answer(HELLO, Sampling(), fresh=True))


def test_an_answer_comes_in_pieces(process: ModelProcess) -> None:
    assert process.opened.chat
    assert ask(process).startswith(f"First {GREETING} ")
    last = process.last
    assert last is not None
    assert last.ended is Ended.END
    assert last.answer_tokens > 10


def test_whoever_leaves_off_stops_the_answer(process: ModelProcess) -> None:
    pieces = process.answer(HELLO, Sampling(), fresh=True)
    assert next(pieces) == "F"
    pieces.close()  # type: ignore[attr-defined] # it is a generator
    assert process.last is not None
    # The child may have come to its end before it was told.
    assert process.last.text.startswith("F")
    assert ask(process).startswith("First ")


def test_a_message_that_is_refused_leaves_the_process_as_it_was(process: ModelProcess) -> None:
    long = [Message(role="user", content="x" * 600)]
    with pytest.raises(UsageError, match="too long"):
        list(process.answer(long, Sampling(), fresh=False))
    assert ask(process).startswith("First ")


def test_it_has_no_network_and_no_files_and_ends_with_us(
    process: ModelProcess, talking_bundle: Path
) -> None:
    (child,) = psutil.Process().children()
    status = Path(f"/proc/{child.pid}/status").read_text("ascii")
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert Path(f"/proc/{child.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    assert str(talking_bundle) not in " ".join(child.cmdline())
    process.close()
    assert not child.is_running()


def test_a_model_that_is_none_is_an_integrity_error(talking_bundle: Path, tmp_path: Path) -> None:
    setup = open_bundle(talking_bundle).setup
    (tmp_path / "genai_config.json").write_text('{"model": {}}')
    with pytest.raises(IntegrityError, match=r"genai_config\.json cannot be used"):
        ModelProcess(Setup(artifact="a", model=tmp_path / "genai_config.json", threads=1), 64)
    process = ModelProcess(setup, 2**20)
    with pytest.raises(DeviceError, match="context_length"):
        ask(process)


def test_its_memory_is_bounded(process: ModelProcess) -> None:
    (child,) = psutil.Process().children()
    limits = Path(f"/proc/{child.pid}/limits").read_text("ascii")
    (line,) = (line for line in limits.splitlines() if line.startswith("Max address space"))
    assert "unlimited" not in line
    assert ask(process)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("print('Segmentation imminent'); sys.exit(7)", "exit code 7.*Segmentation imminent"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("say(type='failed', message='no room', kind='device')", "no room"),
        ("say(type='answered')", "nonsense"),
        ("say(type='piece', text='x'); time.sleep(60)", "out of turn"),
    ],
)
def test_a_process_that_does_not_open_the_model(source: str, said: str) -> None:
    with pytest.raises(DeviceError, match=said):
        made_up(source)
    assert psutil.Process().children() == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("hear(); say(type='piece', text='a'); sys.exit(3)", "exit code 3"),
        ("hear(); say(type='failed', message='gone', kind='device')", "gone"),
        ("hear()\nwhile True: print('x' * 10**6)", "printed more than 8 MiB"),
    ],
)
def test_a_process_that_fails_within_an_answer(source: str, said: str) -> None:
    process = made_up(OPENED + source)
    with pytest.raises(DeviceError, match=said):
        ask(process)
    assert psutil.Process().children() == []
