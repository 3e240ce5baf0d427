"""The processors that can be emulated: the emulator's name for each, and what Linux says of it.

In: a target. Out: its processor. Refuses targets of another architecture or core. `max` is not
among them: under it ONNX Runtime's answers were wrong by 43 %.
"""

from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.target import Target


class Processor(msgspec.Struct, frozen=True, kw_only=True):
    """One core design; `part`, `variant`, `revision` and `features` as in `/proc/cpuinfo`."""

    name: str
    words: str
    """As a target's `hardware.cpu` names it."""
    part: str
    variant: str
    revision: str
    features: str

    def cpuinfo(self, cores: int) -> str:
        """What `/proc/cpuinfo` holds on such a machine."""
        block = (
            f"Features\t: {self.features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
            f"CPU variant\t: {self.variant}\nCPU part\t: {self.part}\n"
            f"CPU revision\t: {self.revision}\n"
        )
        return "\n".join(f"processor\t: {core}\n{block}" for core in range(cores))


PROCESSORS: Final = (
    Processor(
        name="cortex-a72",
        words="Cortex-A72",
        part="0xd08",
        variant="0x0",
        revision="3",
        features="fp asimd evtstrm crc32 cpuid",
    ),
    Processor(
        name="cortex-a76",
        words="Cortex-A76",
        part="0xd0b",
        variant="0x4",
        revision="1",
        features=(
            "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc "
            "dcpop asimddp"
        ),
    ),
)


def processor_of(target: Target) -> Processor:
    """The target's processor.

    Raises:
        UsageError: it is no ARM processor, or one that the emulator does not have.
    """
    hardware = target.hardware
    if hardware.arch != "aarch64":
        raise UsageError(
            f"The target {target.name} is {hardware.arch}, and what is emulated is ARM (aarch64). "
            "Name an ARM target with --target, such as rpi4 or rpi5."
        )
    if target.runtime.provider != "cpu":
        raise UsageError(
            f"The target {target.name} runs models on its GPU ({target.runtime.provider}), which "
            "no emulator has. Name a target with provider cpu, such as rpi4 or rpi5."
        )
    found = [p for p in PROCESSORS if p.words.lower() in hardware.cpu.lower()]
    if not found:
        known = " and ".join(p.words for p in PROCESSORS)
        raise UsageError(
            f"The target {target.name} has the processor {hardware.cpu!r}; {known} can be "
            "emulated. Name a target with one of these, such as rpi4 or rpi5."
        )
    return found[0]
