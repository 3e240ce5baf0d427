"""Where a reference's answers were worked out: on a card or on the CPU, and what to say of it."""

import msgspec


class Worked(msgspec.Struct, kw_only=True):
    """Given to whoever works something out, who writes down where that was."""

    on_card: bool = False
    note: str = ""
    """One sentence, where there was a card and it was not used."""
