"""What a reference said, as the store keeps it: by where torch worked it out, card or CPU.

In: what was asked. Out: a key for each place. On a CPU the last bits of an answer are of its
instructions and of the threads; on a card of the card, and of neither. Answers of either place are
a reference (modeling/reference_card.py), so that what is stored of one is not worked out again on
the other: an identical build asks nothing twice, whatever card came or went meanwhile.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from deployopt.core.worked import Worked
from deployopt.device.cuda_driver import describe_card, driver_missing
from deployopt.device.machine import describe_machine
from deployopt.pipeline.making import tool_versions
from deployopt.store.keys import JsonValue, cache_key
from deployopt.store.store import Store, StoredObject

_TORCH: Final = "torch"
_NO_CUDA: Final = "+cpu"
"""The end of the version of a torch that was built without."""
Note = Callable[[str], None]


def untold(text: str) -> None:
    """No one is watching."""


class ReferenceKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Of the answers to one question, by where they were worked out."""

    cpu: str
    card: str | None = None
    """None where torch can have no card."""

    def lookup(self, store: Store) -> StoredObject | None:
        """What is stored of either, the card's first."""
        for key in (self.card, self.cpu):
            found = None if key is None else store.lookup(key)
            if found is not None:
                return found
        return None

    def of(self, worked: Worked) -> str:
        """The key of answers that were worked out there."""
        return self.card if worked.on_card and self.card is not None else self.cpu


def reference_keys(
    asked: Mapping[str, JsonValue], tools: tuple[str, ...], threads: int
) -> ReferenceKeys:
    """Of what was asked, and with which packages it is worked out here."""
    here, card = describe_machine(runtime=False), _card()
    common = dict(asked) | {"tools": tool_versions(tools)}
    on_cpu: dict[str, JsonValue] = {"isa": [here.arch, *here.isa], "threads": threads}
    return ReferenceKeys(
        cpu=cache_key(common | on_cpu),
        card=None if card is None else cache_key(common | {"card": card}),
    )


def _card() -> dict[str, JsonValue] | None:
    """The card that torch would take; None where it sees none."""
    if _NO_CUDA in tool_versions((_TORCH,))[_TORCH] or driver_missing() is not None:
        return None
    found = describe_card()
    return {"name": found.name, "compute_capability": found.compute_capability}
