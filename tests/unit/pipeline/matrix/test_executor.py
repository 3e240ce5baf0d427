"""Executors by name."""

import pytest

from deployopt.core.errors import MissingExtraError, UsageError
from deployopt.pipeline.matrix import ray_executor
from deployopt.pipeline.matrix.executor import EXECUTORS, executor_named
from deployopt.pipeline.matrix.inline import Inline
from deployopt.pipeline.matrix.processes import Processes


def test_each_is_made_by_its_name() -> None:
    assert isinstance(executor_named("inline", 3), Inline)
    assert isinstance(executor_named("processes", 3), Processes)
    assert executor_named("processes", None, cores=5).jobs == 5
    assert set(EXECUTORS) == {"inline", "processes", "ray"}


def test_an_executor_that_is_not_installed_is_said_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray_executor, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'deployopt\[ray\]'"):
        executor_named("ray", 1)


@pytest.mark.parametrize("address", ["host", "host:", ":1", "host:x", "host:99999", "", "\x1b:1x"])
def test_an_address_is_a_host_and_a_port(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor, "find_spec", lambda _: object())
    with pytest.raises(UsageError, match="HOST:PORT") as found:
        executor_named("ray", 1, ray_address=address)
    assert "\x1b" not in str(found.value)
    executor_named("ray", None, ray_address="auto")


def test_only_ray_has_an_address() -> None:
    with pytest.raises(UsageError, match="--ray-address goes with --executor ray"):
        executor_named("processes", 1, ray_address="auto")


@pytest.mark.parametrize("name", ["spark", "", "\x1b[2J"])
def test_what_is_not_there_is_said_with_what_is(name: str) -> None:
    with pytest.raises(UsageError, match="There are: processes, inline, ray") as found:
        executor_named(name, 1)
    assert "\x1b" not in str(found.value)
