"""The driver keeps one keeper of turns, ends what has ended, and finds out that it is lost."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from deployopt.core.matrix import CellRequest
from deployopt.pipeline.matrix.ray_turns import KEEPER, Keeper
from tests.fakes.cells import cell
from tests.unit.pipeline.matrix.test_boards import board

ray = pytest.importorskip("ray")

from ray.exceptions import ActorDiedError, NodeDiedError, RayError  # noqa: E402

from deployopt.pipeline.matrix import ray_keeping  # noqa: E402
from deployopt.pipeline.matrix.ray_keeping import Keeping  # noqa: E402


class Actor:
    """A keeper as Ray would have it, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keeper = Keeper()
        self.made: list[dict[str, object]] = []
        self.lost: RayError | None = None
        self.end = SimpleNamespace(remote=self.keeper.end)
        self.leave = SimpleNamespace(remote=self.keeper.leave)
        self.holders = SimpleNamespace(remote=self._holders)
        here = SimpleNamespace(get_node_id=lambda: "a" * 56)
        monkeypatch.setattr(ray, "get_runtime_context", lambda: here)
        monkeypatch.setattr(ray, "remote", self._remote)

    def _remote(self, **told: object) -> object:
        def options(**more: object) -> object:
            self.made.append(told | more)
            return SimpleNamespace(remote=lambda: self)

        return lambda kind: SimpleNamespace(options=options) if kind is Keeper else None

    async def _holders(self) -> dict[str, str]:
        if self.lost is not None:
            raise self.lost
        return self.keeper.holders()


@pytest.fixture
def actor(monkeypatch: pytest.MonkeyPatch) -> Actor:
    monkeypatch.setattr(ray_keeping, "_LOOK_S", 0.01)
    return Actor(monkeypatch)


@pytest.fixture
def measured(tmp_path: Path) -> CellRequest:
    """A cell that boards measure."""
    return msgspec.structs.replace(cell(store=tmp_path), boards=(board("one", "pi"),))


def test_a_cell_without_boards_needs_no_keeper(actor: Actor, tmp_path: Path) -> None:
    keeping = Keeping()
    assert keeping.begin(cell(store=tmp_path)) == ""
    keeping.end("", None)
    assert actor.made == []


def test_there_is_one_keeper_and_each_attempt_has_a_turn(
    actor: Actor, measured: CellRequest
) -> None:
    keeping = Keeping()
    first, second = keeping.begin(measured), keeping.begin(measured)
    assert first != second
    (made,) = actor.made
    assert (made["name"], made["num_cpus"], made["max_restarts"]) == (KEEPER, 0, 0)
    assert actor.keeper.take(first, ["one"], waits=False) == "one"
    keeping.end(first, None)
    assert actor.keeper.take(second, ["one"], waits=False) == "one"


def test_the_board_of_a_node_that_is_gone_is_nobody_s_for_a_while(
    actor: Actor, measured: CellRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_keeping, "AWAY_S", 0.3)

    async def lost() -> list[str | None]:
        keeping = Keeping()
        first, second = keeping.begin(measured), keeping.begin(measured)
        actor.keeper.take(first, ["one"], waits=False)
        keeping.end(first, NodeDiedError("it is gone"))
        found = [actor.keeper.take(second, ["one"], waits=True)]
        await asyncio.sleep(0.6)
        return [*found, actor.keeper.take(second, ["one"], waits=True)]

    assert asyncio.run(lost()) == [None, "one"]


def test_nobody_waits_behind_a_node_that_is_gone(actor: Actor, measured: CellRequest) -> None:
    async def lost() -> str | None:
        keeping = Keeping()
        first, second, third = (keeping.begin(measured) for _ in range(3))
        actor.keeper.take(first, ["one"], waits=False)
        actor.keeper.take(second, ["one"], waits=True)
        keeping.end(second, NodeDiedError("it is gone"))
        keeping.end(first, None)
        return actor.keeper.take(third, ["one"], waits=True)

    assert asyncio.run(lost()) == "one"


def test_a_keeper_that_is_lost_is_an_error(actor: Actor, measured: CellRequest) -> None:
    async def watched() -> None:
        keeping = Keeping()
        watching = asyncio.create_task(keeping.watched())
        await asyncio.sleep(0.05)
        keeping.begin(measured)
        await asyncio.sleep(0.05)
        assert not watching.done()
        actor.lost = ActorDiedError()
        await asyncio.wait_for(watching, 10)

    with pytest.raises(ActorDiedError):
        asyncio.run(watched())
