"""A name is a path, an alias, or an error that says how names are written."""

from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.sources.naming import check_data_name, is_path, model_path


def test_an_alias_goes_before_a_folder_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("distilbert", "mine"):
        (tmp_path / name).mkdir()
    assert not is_path("distilbert")
    assert not is_path("DistilBERT")
    assert is_path("./distilbert")
    assert is_path("mine")
    assert is_path("gone.onnx")
    assert not is_path("gone")


def test_a_path_is_there(tmp_path: Path) -> None:
    graph = tmp_path / "model.onnx"
    graph.touch()
    assert model_path(str(graph)) == graph
    assert model_path(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("org/name", "written hub:org/name"),
        ("./org/name", "There is no file or folder './org/name'.$"),
        ("gone.onnx", "There is no file"),
    ],
)
def test_what_is_not_there(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        model_path(name)


def test_another_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.pt").touch()
    with pytest.raises(UsageError, match=r"no \.onnx or \.gguf file"):
        model_path(str(tmp_path / "model.pt"))


@pytest.mark.parametrize(
    "name", ["sst2", "demo-sentiment", "demo-chat", "synthetic", "hub:datasets/org/name"]
)
def test_data_with_a_name_needs_no_path(name: str) -> None:
    check_data_name(name)


def test_data_is_a_path_that_is_there(tmp_path: Path) -> None:
    check_data_name(str(tmp_path))
    with pytest.raises(UsageError, match="There is no data"):
        check_data_name(str(tmp_path / "none.csv"))
