"""What one request is: the shapes and lengths that are measured and predicted."""

from typing import Annotated, Literal

import msgspec

Scenario = Literal["single-stream", "multi-stream", "server", "offline"]


class Workload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests of `batch` examples; text at its real length or padded to `length` tokens.

    Scenarios are MLPerf Inference's: `single-stream`, one request after another; `multi-stream`,
    the same with several examples a request; `server`, requests that come by themselves, at
    `requests_per_s` on average and independent of one another (a Poisson process), and wait where
    one is being worked on; `offline`, all there at once, counted by throughput.
    """

    scenario: Scenario = "single-stream"
    requests_per_s: Annotated[float, msgspec.Meta(gt=0, le=1e6)] | None = None
    """Of the server scenario only."""

    batch: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 1
    length: Annotated[int, msgspec.Meta(ge=1, le=131072)] | Literal["real"] = "real"
    answer: Annotated[int, msgspec.Meta(ge=2, le=4096)] = 32
    """Tokens that a language model answers a request with."""
    context: Annotated[int, msgspec.Meta(ge=16, le=1048576)] | None = None
    """Tokens of prompt and answer that a language model has to have room for; None: 2,048, or what
    it takes where that is less."""
    image_size: Annotated[int, msgspec.Meta(ge=8, le=4096)] | None = None

    def __post_init__(self) -> None:
        if (self.scenario == "server") != (self.requests_per_s is not None):
            wanted = "needs" if self.scenario == "server" else "takes no"
            raise ValueError(f"the scenario {self.scenario} {wanted} requests_per_s")
        if self.scenario == "multi-stream" and self.batch == 1:
            raise ValueError("the scenario multi-stream needs a batch of several examples")

    @property
    def words(self) -> str:
        """For a person, e.g. `server, 20 requests a second, batch 1`."""
        rate = "" if self.requests_per_s is None else f", {self.requests_per_s:g} requests a second"
        return f"{self.scenario}{rate}, batch {self.batch}"
