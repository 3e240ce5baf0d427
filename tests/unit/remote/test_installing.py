"""What names an environment, and what becomes of a device that keeps saying no."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import DeployoptError, UnreachableError
from deployopt.device.protocol import Working
from deployopt.remote.installing import Installer, environment_key
from deployopt.remote.packing import Code
from tests.unit.remote.test_facts import PI
from tests.unit.remote.test_link import device

_WORDS = """
def hear():
    kind, length = struct.unpack(">cI", sys.stdin.buffer.read(5))
    return json.loads(sys.stdin.buffer.read(length))
def failed(number, kind):
    out(word(number, 'failed', body=dict(kind=kind, message='that is why')))
"""


def test_other_packages_or_another_python_are_another_environment() -> None:
    key = environment_key(PI, ["a", "b"])
    assert environment_key(PI, ["b", "a"]) == key
    assert environment_key(msgspec.structs.replace(PI, python="3.11.9"), ["a", "b"]) == key
    others = {
        environment_key(PI, ["a"]),
        environment_key(PI, ["ab"]),
        environment_key(msgspec.structs.replace(PI, python="3.12.1"), ["a", "b"]),
    }
    assert len(others - {key}) == 3


def _nothing(_sign: Working) -> None:
    pass


def test_what_is_there_costs_one_question(tmp_path: Path) -> None:
    script = f"{_WORDS}w = hear(); out(word(1, 'furnished', body=dict(python=w['body']['key'])))"
    with device(script) as link:
        python = Installer("pi", link, PI, tmp_path, _nothing).install(Code(), (), own=False)
    assert len(python) == 32
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "words", "error"),
    [
        ("device", "did not come about on pi: that is why", "UnreachableError"),
        ("who knows", "did not come about on pi: that is why", "UnreachableError"),
        ("space", "that is why", "StorageError"),
        ("integrity", "that is why", "IntegrityError"),
    ],
)
def test_a_no_is_said(kind: str, words: str, error: str, tmp_path: Path) -> None:
    with device(f"{_WORDS}hear(); failed(1, {kind!r}); hear()") as link:
        installer = Installer("pi", link, PI, tmp_path, _nothing)
        with pytest.raises(DeployoptError, match=words) as caught:
            installer.install(Code(), (), own=False)
    assert type(caught.value).__name__ == error


def test_too_little_space_is_found_before_anything_is_sent(tmp_path: Path) -> None:
    facts = msgspec.structs.replace(PI, disk_free_bytes=0)
    with device(f"{_WORDS}hear(); failed(1, 'empty'); hear()") as link:
        installer = Installer("pi", link, facts, tmp_path, _nothing)
        with pytest.raises(UnreachableError, match="the small install needs"):
            installer.install(Code(), (), own=False)
