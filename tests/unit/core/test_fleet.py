"""The file of a fleet."""

import msgspec
import pytest

from deployopt.core.errors import UsageError
from deployopt.core.fleet import Board, FleetDevice, FleetFile, check_devices, check_targets
from tests.fakes.results import MACHINE

ONE = FleetDevice(name="one", address="ssh://a", target="rpi4")
TWO = FleetDevice(name="two", address="ssh://b", target="rpi4")


def check(*devices: FleetDevice, addresses: tuple[str, ...] | None = None) -> None:
    given = addresses or tuple(device.address for device in devices)
    check_devices(FleetFile(device=devices), given, "f.toml")


def test_devices_have_names_and_places_of_their_own() -> None:
    check(ONE, TWO)
    with pytest.raises(UsageError, match=r"f\.toml: two \[\[device\]\] are called 'one'"):
        check(ONE, ONE)
    with pytest.raises(UsageError, match="ssh://a is claimed twice: as one and as two"):
        check(ONE, TWO, addresses=("ssh://a", "ssh://a"))
    with pytest.raises(UsageError, match=r"there is no \[\[device\]\]"):
        check()


def test_a_target_is_one_that_somebody_knows() -> None:
    check_targets(FleetFile(device=(ONE,)), ("rpi4", "rpi5"), "f.toml")
    with pytest.raises(UsageError, match=r"device one: there is no target 'rpi4'.*mean rpi5\?"):
        check_targets(FleetFile(device=(ONE,)), ("rpi5",), "f.toml")


@pytest.mark.parametrize(
    ("changed", "like"),
    [
        ({"kernel": "7.1", "governor": "powersave", "boost": True, "python": "3.13.1"}, True),
        ({"cores": 4}, False),
        ({"isa": ("avx2",)}, False),
        ({"packages": {"onnxruntime": "1.26.0"}}, False),
    ],
)
def test_boards_are_alike_by_what_results_follow_from(
    changed: dict[str, object], *, like: bool
) -> None:
    board = Board(name="one", address="ssh://a", pools=("pi",), claim="c", machine=MACHINE)
    assert board.is_like(msgspec.structs.replace(MACHINE, **changed)) is like
