"""Data known by a short name."""

from deployopt.catalogue.data import DATA, SYNTHETIC, find_data
from deployopt.sources.hub_names import parse_hub_name


def test_data_are_found_by_name_and_stand_on_the_hub() -> None:
    assert [find_data(data.name) for data in DATA] == list(DATA)
    assert find_data("sst3") is None
    assert find_data(SYNTHETIC) is None
    for data in DATA:
        assert parse_hub_name(f"hub:datasets/{data.repository}").kind == "dataset"
