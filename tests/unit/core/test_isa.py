"""Which machines saturate 8-bit products."""

import pytest

from deployopt.core.isa import ISA_KNOWN, known_features, multiplies_bfloat16, saturates


@pytest.mark.parametrize(
    ("arch", "isa", "expected"),
    [
        ("x86_64", ("avx2", "fma"), True),
        ("x86_64", ("avx2", "avx512f"), True),
        ("x86_64", ("avx2", "avx512f", "avx512_vnni"), False),
        ("x86_64", ("avx2", "avx_vnni"), False),
        ("x86_64", ("avx2", "amx_int8"), False),
        ("x86_64", ("sse4_1",), False),
        ("x86_64", (), True),
        ("aarch64", ("asimd",), False),
        ("aarch64", ("asimd", "asimddp"), False),
    ],
)
def test_saturation_follows_the_instruction_set(
    arch: str, isa: tuple[str, ...], *, expected: bool
) -> None:
    assert saturates(arch, isa) is expected


@pytest.mark.parametrize(
    ("arch", "isa", "expected"),
    [
        ("x86_64", ("avx2", "avx512f"), False),
        ("x86_64", ("avx512f", "avx512_bf16"), True),
        ("x86_64", ("amx_bf16",), True),
        ("aarch64", ("asimd", "bf16"), False),
    ],
)
def test_bfloat16_pays_where_there_are_instructions_for_it(
    arch: str, isa: tuple[str, ...], *, expected: bool
) -> None:
    assert multiplies_bfloat16(arch, isa) is expected


def test_only_known_features_are_kept_in_one_order() -> None:
    assert known_features({"fma", "avx2", "hypervisor"}) == ("avx2", "fma")
    assert len(set(ISA_KNOWN)) == len(ISA_KNOWN)
