"""What ships is small, and its card is true to the pins and to the splits."""

import msgspec
import pytest

from deployopt.core.errors import IntegrityError
from deployopt.sources import demo, demo_card
from deployopt.sources.splits import Splits


def test_what_ships_is_small_and_its_card_is_true_to_the_pins() -> None:
    card = demo_card.read_card()
    assert sum(path.stat().st_size for path in demo_card.SHIPPED.iterdir()) < 3_000_000
    assert card.base_sha256 == demo.WEIGHTS.sha256
    assert card.data_sha256 == demo.DATA.sha256
    assert card.split_salt == demo.SPLIT_SALT
    assert card.labels == demo.LABELS
    assert card.split_sizes["gate"] == card.gate.n >= 3000
    assert card.gate.low_pct < card.gate.accuracy_pct < card.gate.high_pct


def test_other_splits_than_the_trained_ones_are_refused() -> None:
    card = demo_card.read_card()
    splits = Splits(indices={}, digests=card.split_sha256, groups=0, largest_group=0)
    demo_card.check_splits(splits, card)
    changed = {**card.split_sha256, "gate": "0" * 64}
    other = msgspec.structs.replace(splits, digests=changed)
    with pytest.raises(IntegrityError, match="texts of gate are not those"):
        demo_card.check_splits(other, card)
