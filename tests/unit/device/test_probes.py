"""The probes measure something."""

from deployopt.device import probes


def test_rates_are_of_this_world() -> None:
    assert 1e8 < probes.copy_bandwidth(1, size_bytes=2**22) < 1e13
    assert 1e7 < probes.float_rate(1, side=128) < 1e15
    assert 1e7 < probes.int8_rate(1, side=128) < 1e16
