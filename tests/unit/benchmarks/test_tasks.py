"""Tables with three header rows become clean training and test texts."""

from pathlib import Path

from benchmarks.tasks import cleaned, rows_of, write
from deployopt.sources.tables import read_table

TABLE = (
    b'Category\tText\nd\tstring\nclass\t\nearn\tprofit rose\nacq\t"a deal\nof two lines"\nacq\t \n'
)


def test_headers_and_empty_texts_go() -> None:
    assert rows_of(TABLE) == [("profit rose", "earn"), ("a deal\nof two lines", "acq")]


def test_what_comes_twice_is_counted_and_goes() -> None:
    train = [("a", "x"), (" A ", "x"), ("b", "y"), ("c", "x"), ("d", "x")]
    test = [("b", "y"), ("C", "y"), ("e", "y")]
    found = cleaned(train, test)
    assert found.train == (("a", "x"), ("d", "x"))
    assert found.test == (("b", "y"), ("e", "y"))
    assert (found.twice, found.shared, found.contradicted) == (1, 1, 2)


def test_the_files_are_read_as_data(tmp_path: Path) -> None:
    rows = [('a "deal"\nof two lines', "acq"), ("profit, rose", "earn")] * 20
    write(tmp_path / "r8.csv", rows)
    table = read_table(tmp_path / "r8.csv", {})
    assert [(row.text, row.label) for row in table.rows] == rows
