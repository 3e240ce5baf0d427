"""Names on the hub, and what is none."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.sources.hub_names import HubName, parse_hub_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hub:org/name", HubName(repository="org/name")),
        ("hub:o/n@v1.0", HubName(repository="o/n", revision="v1.0")),
        ("hub:o/n@refs/pr/1", HubName(repository="o/n", revision="refs/pr/1")),
        (
            "hub:datasets/o/n@main:data/a-0.csv",
            HubName(repository="o/n", kind="dataset", revision="main", file="data/a-0.csv"),
        ),
    ],
)
def test_names_on_the_hub(text: str, name: HubName) -> None:
    assert parse_hub_name(text) == name


@pytest.mark.parametrize(
    "text",
    ["hub:", "hub:org", "hub:a/b/c", "hub:../b", "hub:a/..", "hub:o/n@", "hub:o/n@../x",
     "hub:o/n:file", "hub:datasets/o/n:../x", "hub:datasets/o/n:/etc/passwd", "hub:o/-n",
     "hub:o/n@-x", "hub:o /n", "hub:o/n@a b", "hub:o/n\n"],
)  # fmt: skip
def test_what_is_no_name_on_the_hub(text: str) -> None:
    with pytest.raises(UsageError, match="not a name on the hub"):
        parse_hub_name(text)
