"""Version ranges of a target's runtime."""

import pytest

from deployopt.core.versions import lowest, matches, opset_read_by, parse_range, parse_version

PI = ">=1.20.1,!=1.21.0,<2"


@pytest.mark.parametrize(
    ("version", "inside"),
    [
        ("1.20.0", False),
        ("1.20.1", True),
        ("1.21.0", False),
        ("1.21", False),
        ("1.21.1", True),
        ("1.31.1", True),
        ("2.0.0", False),
        ("1.20.1+cpu", True),
        ("1.9.0", False),
        ("1.22.0.dev20250801", True),
        ("1.20.1rc1", False),
    ],
)
def test_the_range_of_the_pi(version: str, inside: bool) -> None:  # noqa: FBT001 -- a table
    assert matches(version, PI) is inside


@pytest.mark.parametrize(
    ("version", "ranges", "inside"),
    [
        ("1.20", "==1.20.0", True),
        ("1.20.1", ">1.20", True),
        ("1.20.0", ">1.20", False),
        ("1.20.0", "<= 1.20", True),
        ("1.21.0rc1", "<1.21", True),
        ("1.10.0", ">1.9", True),
    ],
)
def test_signs(version: str, ranges: str, inside: bool) -> None:  # noqa: FBT001 -- a table
    assert matches(version, ranges) is inside


@pytest.mark.parametrize(
    "text", ["", "1.20", "~=1.20", ">=", ">=1.20,", ">=1.20 <2", "=>1", ">=1.*"]
)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match="not a bound on a version"):
        parse_range(text)


def test_an_endless_range_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        parse_range(",".join([">=1.20"] * 1000))


@pytest.mark.parametrize("text", ["", "latest", "1.x", "v1.20", "1..2", "1.20.1\n2"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        parse_version(text)


def test_where_a_range_starts() -> None:
    assert lowest(PI) == parse_version("1.20.1")
    assert lowest("<2") is None


@pytest.mark.parametrize(
    ("version", "opset"),
    [
        ("1.17.3", 20),
        ("1.18.0", 21),
        ("1.20.1", 21),
        ("1.21.1", 22),
        ("1.22.0", 23),
        ("1.31.1", 23),
    ],
)
def test_the_opset_that_a_release_reads(version: str, opset: int) -> None:
    assert opset_read_by(parse_version(version)) == opset
