"""Which targets have a processor that can be emulated."""

import msgspec
import pytest

from deployopt.core.errors import UsageError
from deployopt.core.target import Target
from deployopt.device.machine import cpu_features, cpu_model
from deployopt.planning.targets import load_target, target_names
from deployopt.remote.emulation.processors import PROCESSORS, processor_of


def arm(**changed: object) -> Target:
    target = load_target("rpi4")
    hardware = msgspec.structs.replace(target.hardware, **changed)
    return msgspec.structs.replace(target, hardware=hardware)


@pytest.mark.parametrize(("name", "processor"), [("rpi4", "cortex-a72"), ("rpi5", "cortex-a76")])
def test_the_pis(name: str, processor: str) -> None:
    assert processor_of(load_target(name)).name == processor


def test_every_shipped_target_has_one_or_says_why_not() -> None:
    for name in target_names():
        target = load_target(name)
        emulated = target.hardware.arch == "aarch64" and target.runtime.provider == "cpu"
        if emulated:
            assert processor_of(target) in PROCESSORS
        else:
            with pytest.raises(UsageError, match=name):
                processor_of(target)


def test_another_core_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"'2x Cortex-A53'.* Cortex-A72 and Cortex-A76"):
        processor_of(arm(cpu="2x Cortex-A53"))


def test_max_is_never_used() -> None:
    assert "max" not in {processor.name for processor in PROCESSORS}


def test_what_linux_says_of_them() -> None:
    a72, a76 = PROCESSORS
    text = a72.cpuinfo(4)
    assert text.count("processor\t:") == 4
    assert cpu_model(text) == "ARM 0x41/0xd08"
    assert "asimddp" not in cpu_features(text)
    assert "asimddp" in cpu_features(a76.cpuinfo(1))
