"""Instruction sets by the names that Linux gives them, and what they mean for 8-bit integers.

In: an architecture and feature names as in ``/proc/cpuinfo``. Out: whether products of unsigned and
signed bytes saturate there. Whoever quantizes, plans or measures for a target asks here.
"""

from collections.abc import Collection
from typing import Final

ISA_KNOWN: Final = (
    # x86_64
    "sse4_1",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    # aarch64
    "asimd",
    "asimdhp",
    "asimddp",
    "fphp",
    "i8mm",
    "bf16",
    "sve",
    "sve2",
)
"""The features that decide speed or arithmetic, in the order they are shown."""

_EXACT_X86: Final = frozenset({"avx_vnni", "avx512_vnni", "amx_int8"})
_BFLOAT16_X86: Final = frozenset({"avx512_bf16", "amx_bf16"})
_PAIRING_X86: Final = frozenset({"avx2", "avx512f"})


def known_features(features: Collection[str]) -> tuple[str, ...]:
    """Those of `features` that matter here, in the order of ISA_KNOWN."""
    return tuple(name for name in ISA_KNOWN if name in features)


def multiplies_bfloat16(arch: str, isa: Collection[str]) -> bool:
    """Whether training in bfloat16 pays: measured with AVX512-BF16, 1.4 x of a distillation."""
    return arch == "x86_64" and bool(_BFLOAT16_X86 & set(isa))


def saturates(arch: str, isa: Collection[str]) -> bool:
    """Whether full 8-bit weights saturate (vpmaddubsw adds two products in 16 bits).

    True for x86 with AVX2 or AVX512 and no VNNI or AMX; false for ARM, whose kernels widen first.
    An x86 target that names no features is taken to saturate.
    """
    if arch != "x86_64" or _EXACT_X86 & set(isa):
        return False
    return not isa or bool(_PAIRING_X86 & set(isa))
