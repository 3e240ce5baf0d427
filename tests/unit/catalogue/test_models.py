"""The catalogue is a table that holds together."""

import pytest

from deployopt.catalogue.models import CATALOGUE, find_data, find_entry
from deployopt.sources.hub_names import parse_hub_name


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: str(entry.alias))
def test_every_entry_is_whole(entry: object) -> None:
    found = find_entry(str(getattr(entry, "alias", "")).upper())
    assert found is entry
    assert found.repository is None or parse_hub_name(f"hub:{found.repository}")
    assert found.data in (None, "demo-sentiment") or find_data(found.data)
    # Four bytes a parameter, and the tokenizer's or batch norm's few besides.
    assert 0.97 < found.size_bytes / (4 * found.parameters) < 1.05
    assert all(find_entry(name).parameters < found.parameters for name in found.smaller)
