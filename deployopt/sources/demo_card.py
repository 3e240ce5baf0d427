"""The card of what `demo-sentiment` ships: how it was trained, on what, and what it reaches.

In: a folder with `adapter.safetensors` and `card.json`. Out: the card, after the adapter's sha256
was checked against it. Refuses splits that are not the ones of the training, since the gate would
then judge texts that the weights have seen.
"""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import IntegrityError
from deployopt.sources.splits import Splits

SHIPPED: Final = Path(__file__).parent / "data_demo"
ADAPTER_FILE: Final = "adapter.safetensors"
CARD_FILE: Final = "card.json"


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An accuracy in percent over n texts, with its Wilson 95 % interval."""

    accuracy_pct: float
    low_pct: float
    high_pct: float
    n: int


class DemoCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was trained, on what, how, and what it reaches."""

    format: int
    model: str
    base: str
    base_sha256: str
    data: str
    data_sha256: str
    adapter_sha256: str
    licence: str
    labels: tuple[str, ...]
    recipe: dict[str, float | int | str]
    versions: dict[str, str]
    split_salt: str
    split_sizes: dict[str, int]
    split_sha256: dict[str, str]
    gate: Measured
    shift: dict[str, Measured]
    notes: str


def read_card(adapter: Path = SHIPPED) -> DemoCard:
    """The card beside the adapter.

    Raises:
        IntegrityError: the card or the adapter is missing, unreadable or not the recorded one.
    """
    try:
        card = msgspec.json.decode((adapter / CARD_FILE).read_bytes(), type=DemoCard)
        weights = (adapter / ADAPTER_FILE).read_bytes()
    except (OSError, msgspec.MsgspecError) as error:
        raise IntegrityError(f"The adapter in {adapter} is damaged: {error}.") from error
    found = hashlib.sha256(weights).hexdigest()
    if found != card.adapter_sha256:
        raise IntegrityError(
            f"{adapter / ADAPTER_FILE} has sha256 {found}, its card says {card.adapter_sha256}. "
            "Install deployopt again."
        )
    return card


def check_splits(splits: Splits, card: DemoCard) -> None:
    """Raise IntegrityError unless the splits are the ones the card was written for."""
    wrong = [name for name, sha256 in card.split_sha256.items() if splits.digests[name] != sha256]
    if wrong:
        raise IntegrityError(
            f"The texts of {', '.join(wrong)} are not those that {card.model} was trained and "
            "measured with, so its gate would prove nothing. Clear the store and fetch again."
        )
