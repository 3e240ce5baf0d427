"""How far drawn images are from the reference's of the same prompts and noise."""

from typing import Final

import msgspec

LIMIT: Final = 0.1
"""A signal 20 dB above the error: further away an image counts as another one."""


class ImageDrift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Relative errors: root-mean-square difference of all pixels over the reference's own.

    Pixels lie between -1 and 1, grey being 0. `limit` is the most of an image that agrees.
    """

    median: float
    worst: float
    limit: float = LIMIT
    parts_s: dict[str, float] = {}
    """What each graph took of an image, in the run that drew them all; rounds have timed none."""

    @property
    def far(self) -> str:
        """How far the images are apart, for a person."""
        return (
            f"Images differ from the reference's by {self.median:.2%} in the median and "
            f"{self.worst:.2%} at most (relative error of all pixels; over {self.limit:.0%} they "
            "count as lost)."
        )

    @property
    def words(self) -> str:
        """The same, and what share of the time each graph took."""
        total = sum(self.parts_s.values())
        if not total:
            return self.far
        shares = ", ".join(f"{name} {took / total:.1%}" for name, took in self.parts_s.items())
        return f"{self.far} Of an image's time in the runtime: {shares}."
