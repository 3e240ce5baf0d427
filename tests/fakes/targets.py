"""A target that fits any x86 machine, as its file says it."""

_TARGET = """
name = "{name}"
title = "This machine"
[match]
arch = "x86_64"
[hardware]
arch = "x86_64"
cpu = "any"
cores = 1
isa = ["avx2"]
memory = "4 GiB"
memory_usable = "3 GiB"
bandwidth = "10 GB/s"
[hardware.peak]
fp32 = "10 GFLOP/s"
[runtime]
threads = 1
versions = ">=1.20.1,<2"
opset_max = 17
"""


def target_toml(name: str) -> str:
    """Its text."""
    return _TARGET.format(name=name)
