"""A model folder arrives whole, replaces only its own kind, and spares what others wrote."""

from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.store.digests import folder_entries
from deployopt.store.model_folders import RECORD, check_model_destination, publish_model


def made(folder: Path, content: str) -> Path:
    folder.mkdir()
    (folder / RECORD).write_text(content, "utf-8")
    (folder / "config.json").write_text("{}", "utf-8")
    return folder


def test_a_new_folder_is_published_and_an_own_one_replaced(tmp_path: Path) -> None:
    for content in ("first", "second"):
        source = made(tmp_path / content, content)
        publish_model(source, folder_entries(source), tmp_path / "deep" / "out")
    out = tmp_path / "deep" / "out"
    assert (out / RECORD).read_text("utf-8") == "second"
    assert sorted(path.name for path in out.parent.iterdir()) == ["out"]


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    source = made(tmp_path / "source", "x")
    publish_model(source, folder_entries(source), tmp_path / "out")
    assert (tmp_path / "out" / "config.json").exists()


@pytest.mark.parametrize("kind", ["file", "link", "foreign"])
def test_anything_else_is_left_as_it_is(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine", "utf-8")
    elif kind == "link":
        out.symlink_to(tmp_path)
    else:
        out.mkdir()
        (out / "thesis.tex").write_text("mine", "utf-8")
    with pytest.raises(UsageError, match="Name"):
        check_model_destination(out)
    source = made(tmp_path / "source", "x")
    with pytest.raises(UsageError):
        publish_model(source, folder_entries(source), out)
    if kind == "foreign":
        assert (out / "thesis.tex").read_text("utf-8") == "mine"
