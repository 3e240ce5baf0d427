"""The search at a terminal: everything in eighty columns, long lists cut, names never markup."""

import io
import unicodedata

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from deployopt.core.result import BuildResult
from deployopt.core.search import Profile
from deployopt.reports.terminal import print_build
from tests.fakes import search
from tests.fakes.payloads import payloads


def shown(result: BuildResult) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    print_build(result, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def section(result: BuildResult) -> list[str]:
    """The lines of the search, without those of candidates and verdict."""
    lines = [x.rstrip() for x in shown(result).splitlines()]
    start = lines.index("Search")
    return lines[start : next(k for k in range(start, len(lines)) if lines[k].startswith("Log "))]


@pytest.mark.parametrize("name", search.SEARCHES)
def test_no_line_is_wider_than_eighty_and_nothing_is_cut(name: str) -> None:
    text = shown(search.SEARCHES[name])
    assert [x for x in text.splitlines() if cell_len(x.rstrip()) > 80] == []
    assert "…" not in text
    assert "nan" not in text


def test_shares_keep_their_sign_on_the_line() -> None:
    for result in search.SEARCHES.values():
        assert not any(x.strip().startswith("%") for x in shown(result).splitlines())


def test_what_was_timed_with_ratio_interval_prediction_and_verdict() -> None:
    lines = section(search.SEARCHES["forty shapes"])
    (row,) = [x for x in lines if x.startswith("2 layers, ffn 50 % ") and " 0.110 " in x]
    assert row.split()[-1] == "taught"
    assert "0.107 to 0.113" in row
    assert "≥ 12 ms" in row
    assert "  all in int8 · measured here (proxy) · 5 rounds each" in lines


def test_on_the_target_nothing_is_predicted() -> None:
    text = "\n".join(section(search.SEARCHES["on the target"]))
    assert "predicted" not in text
    assert "measured on target" in text


def test_two_forms_stand_with_their_shapes() -> None:
    first, *others = search.shapes(3)
    mixed = (msgspec.structs.replace(first, form="openvino-int8", rounds=7), *others)
    text = " ".join(
        " ".join(section(search.build(search=search.search_result(shapes=mixed)))).split()
    )
    assert "whole, openvino-int8" in text
    assert "5 to 7 rounds each" in text
    assert "all in" not in text


def test_trainings_by_rung_with_what_became_of_them() -> None:
    lines = section(search.SEARCHES["forty shapes"])
    first = next(k for k, x in enumerate(lines) if x.startswith("1    4 layers, ffn 50 %"))
    assert lines[first].endswith("0.75 pt  0.04 to 1.52 pt   promoted")
    assert lines[first + 4].strip() == "and 4 more"
    assert any(x.startswith("3    4 layers, ffn 50 %") and x.endswith("chosen") for x in lines)
    assert any("the loss was not a number" in x for x in lines)


def test_the_most_sensitive_layers() -> None:
    lines = section(search.SEARCHES["forty shapes"])
    rows = [x for x in lines if " MatMul  " in x]
    assert len(rows) == 5
    assert [x.endswith("float") for x in rows] == [True, True, False, False, False]
    assert "  names begin with /distilbert/transformer/" in lines
    assert "  and 35 more in the page and in the log" in lines


def test_many_of_everything_stay_short() -> None:
    many = search.search_result(
        trainings=search.trainings() * 8, layers=search.layers(), shapes=search.shapes() * 5
    )
    assert len(section(search.build(search=many))) < 75


def test_nothing_in_budget_says_what_came_nearest_and_what_to_relax() -> None:
    text = "\n".join(section(search.SEARCHES["nothing in budget"]))
    assert "Nearest    4 layers, ffn 50 %, int8 takes 73.1 ms" in text
    assert "Relax      latency_p95 to 77 ms" in text
    assert "or         accuracy_drop to 2.5 pt" in text
    assert "Why" not in text


def test_the_log_is_one_line_whatever_its_length() -> None:
    log = "/home/ada/" + "deep/" * 30 + "search.jsonl"
    text = shown(search.build(search=search.search_result(log=log)))
    assert f"Log        {log}" in text.splitlines()


def test_a_search_that_found_nothing_says_only_its_effort() -> None:
    text = shown(search.SEARCHES["empty"])
    assert "Effort     quick, 4.00 s" in text
    for word in ("Timed", "Trained", "Ranked", "Front", "Log  ", "most sensitive", "epochs"):
        assert word not in text, word


def test_a_profile_with_channels_has_its_row() -> None:
    cut = search.shape(Profile(channels=0.7), 0.5, "taught")
    lines = section(search.build(search=search.search_result(shapes=(cut,))))
    assert any(x.startswith("channels 70 % ") for x in lines)


@pytest.mark.parametrize("payload", payloads()[::100])
def test_hostile_text_is_text(payload: str) -> None:
    lines = shown(search.hostile(payload)).splitlines()
    odd = {"Cc", "Cf", "Cs", "Cn"}
    assert not any(unicodedata.category(c) in odd for x in lines for c in x)
    assert not any(x.lstrip().startswith("::") or "##[" in x for x in lines)
