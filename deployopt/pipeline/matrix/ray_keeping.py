"""The driver's side of turns on boards: their keeper begun, told of ends, and watched.

In: cells that have boards, and how their attempts ended. Out: a word by which the keeper knows an
attempt. That the keeper is lost is an error of Ray's: nobody else knows who measures on what.
"""

import asyncio
import secrets
from typing import Final

import ray
from ray.actor import ActorHandle
from ray.exceptions import NodeDiedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from deployopt.core.matrix import CellRequest
from deployopt.pipeline.matrix.ray_turns import KEEPER, Keeper

_LOOK_S: Final = 2.0
AWAY_S: Final = 60.0
"""A node that does not answer may still measure for so long: until then its board is nobody's."""


class Keeping:
    """One call's keeper, an actor on this node from the first cell that has boards."""

    def __init__(self) -> None:
        self._keeper: ActorHandle[Keeper] | None = None

    def begin(self, cell: CellRequest) -> str:
        """By which the keeper knows this attempt at the cell; empty where it has no boards."""
        if not cell.boards:
            return ""
        if self._keeper is None:
            here = NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=False
            )
            actor = ray.remote(num_cpus=0, max_restarts=0)(Keeper)
            self._keeper = actor.options(name=KEEPER, scheduling_strategy=here).remote()
        return secrets.token_hex(8)

    def end(self, turn: str, error: BaseException | None) -> None:
        """The attempt is over; of a node that is gone nobody knows whether it still measures."""
        if not turn or self._keeper is None:
            return
        if isinstance(error, NodeDiedError):
            self._keeper.leave.remote(turn)  # nobody waits behind who will not come
            asyncio.get_running_loop().call_later(AWAY_S, self._keeper.end.remote, turn)
        else:
            self._keeper.end.remote(turn)

    async def watched(self) -> None:
        """Never ends while the keeper lives; raises RayError when it is lost."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._keeper is not None:
                await self._keeper.holders.remote()
