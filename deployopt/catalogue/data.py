"""Data known by a short name: what it is and which of its files judge a model."""

from typing import Final

import msgspec

# Seeded inputs of the declared shapes, for a graph that comes without data.
SYNTHETIC: Final = "synthetic"


class HubData(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Labelled data on the hub: which files judge (`gate`), and which calibrate and search."""

    name: str
    repository: str
    gate: str
    """A path in the repository; `*` stands for anything but `/`."""
    work: str | None = None
    """None: all three splits come from `gate`."""
    text: str
    label: str
    examples: int
    """Rows in the gate's files."""
    licence: str


SST2: Final = HubData(
    name="sst2",
    repository="stanfordnlp/sst2",
    gate="data/validation-*.parquet",
    work="data/train-*.parquet",
    text="sentence",
    label="label",
    examples=872,
    licence="unknown",
)
DATA: Final[tuple[HubData, ...]] = (SST2,)


class KnownSize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `plan` knows of evaluation data that it does not read."""

    calibration: int
    search: int
    gate: int
    tokens: int
    """Of a request at the 95th percentile, special tokens included."""


KNOWN_SIZES: Final[dict[str, KnownSize]] = {
    # Counted on the data itself with the model's tokenizer; a test holds them against it.
    "demo-sentiment": KnownSize(calibration=300, search=496, gate=3306, tokens=46),
    # 872 sentences of validation; their length is that of movie snippets of the same kind.
    SST2.name: KnownSize(calibration=300, search=1000, gate=SST2.examples, tokens=46),
}


def find_data(name: str) -> HubData | None:
    """The hub data of a short name, or None."""
    return next((data for data in DATA if data.name == name), None)
