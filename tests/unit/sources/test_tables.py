"""Tables of texts, and everything that can be wrong with one."""

import json
from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.sources.tables import Row, class_names, read_table


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,label\ngood film,1\n"bad, dull",0\n'),
        ("a.csv", '\ufefftext,label\r\ngood film,1\r\n"bad, dull",0\r\n'),
        ("a.csv", "text;label\ngood film;1\nbad, dull;0\n"),
        ("a.csv", "text\tlabel\ngood film\t1\nbad, dull\t0\n"),
        ("a.tsv", "text\tlabel\ngood film\t1\nbad, dull\t0\n"),
        ("a.csv", 'id,Label,Text\n1,1,good film\n\n2,0,"bad, dull"\n'),
        ("a.jsonl", '{"text": "good film", "label": "1"}\n\n{"label": "0", "text": "bad, dull"}\n'),
        ("a.json", '[{"text": "good film", "label": "1"}, {"label": "0", "text": "bad, dull"}]'),
    ],
)
def test_ways_to_write_the_same_rows(tmp_path: Path, name: str, content: str) -> None:
    rows = read_table(write(tmp_path / name, content)).rows
    assert [(row.text, row.label) for row in rows] == [("good film", "1"), ("bad, dull", "0")]


def test_other_columns_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "was,urteil,text\ngut,1,x\n")
    columns = {"text": "was", "label": "Urteil"}
    assert read_table(path, columns).rows == (Row("gut", "1", 2),)
    with pytest.raises(UsageError, match="no column named 'nicht'"):
        read_table(path, {"text": "nicht", "label": "urteil"})
    with pytest.raises(UsageError, match="'lable'"):
        read_table(path, {"lable": "urteil"})


def test_a_quoted_text_may_hold_line_breaks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,label\n"one\ntwo",1\nthree,0\n')
    assert [row.text for row in read_table(path).rows] == ["one\ntwo", "three"]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", "", "is empty"),
        ("a.txt", "one", "A .txt has no labels"),
        ("a.csv", "\n", "no column for the text"),
        ("a.csv", "text,label\n", "holds no examples"),
        ("a.csv", "sentence,stars\nx,1\n", "no column for the label.*its columns are sentence"),
        ("a.csv", "text,label\nx,1\ny,1,z\n", "line 3: 3 cells, the header has 2"),
        ("a.csv", "text,label\nx,1\ny\n", "line 3: 1 cells"),
        ("a.csv", 'text,label\n"x,1\n', "line 2: unexpected end"),
        ("a.csv", "text,label\nx,\n", "line 2: the label is missing"),
        ("a.csv", "text,label\nx,NaN\n", "line 2: the label is missing"),
        ("a.csv", "text,label\n" + "x" * 200_000 + ",1\n", "field limit"),
        ("a.csv", b"text,label\nx,1\ncaf\xe9,0\n", r"byte 18 \(line 3\) is 0xe9"),
        ("a.csv", "text,label\nx,1\n".encode("utf-16"), "looks like UTF-16"),
        ("a.csv", b"text,label\nx\0y,1\n", r"zero byte \(line 2\)"),
        ("a.jsonl", '{"text": "x", "label": 1}\n{"text": "x"\n', "line 2"),
        ("a.jsonl", '{"text": "x", "label": 1}\n[1]\n', "line 2"),
        ("a.jsonl", '{"text": "x", "label": 1}\n{"text": "y"}\n', "line 2: there is no 'label'"),
        ("a.jsonl", '{"text": 5, "label": 1}\n', "line 1: the text is int"),
        ("a.jsonl", '{"text": "x", "label": null}\n', "line 1: the label is missing"),
        ("a.jsonl", '{"text": "x", "label": ["a"]}\n', "line 1: the label is of the type list"),
        ("a.jsonl", '{"a":' * 5_000, "line 1"),
        ("a.json", "[1, 2]", "line 1"),
        ("a.parquet", b"PAR1 not really", "not a Parquet file"),
        ("a.xlsx", b"", "no kind that is read"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, why: str
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = write(tmp_path / name, content)
    with pytest.raises(UsageError, match=why) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no data file"):
        read_table(tmp_path / "a.csv")


def test_parquet_with_the_names_of_its_classes(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    about = {"info": {"features": {"label": {"names": ["no", "yes"]}}}}
    table = pa.table({"sentence": ["a", "b"], "label": pa.array([1, 0])})
    table = table.replace_schema_metadata({b"huggingface": json.dumps(about).encode()})
    pq.write_table(table, tmp_path / "a.parquet")
    found = read_table(tmp_path / "a.parquet")
    assert found.names == ("no", "yes")
    assert found.rows == (Row("a", 1, 1), Row("b", 0, 2))
    pq.write_table(pa.table({"text": ["a"], "label": [float("nan")]}), tmp_path / "b.parquet")
    with pytest.raises(UsageError, match="line 1: the label is missing"):
        read_table(tmp_path / "b.parquet")


@pytest.mark.parametrize("metadata", [None, b"", b"[]", b"{", b'{"info": 1}', b"\xff"])
def test_metadata_without_names(metadata: bytes | None) -> None:
    assert class_names(metadata, "label") is None
