"""What an assembler made of an instruction is found to be of its kind.

The words were written by GNU as 2.40 for armv8.2-a with dotprod, fp16, lse and crypto.
"""

import numpy as np
import pytest

from deployopt.core.emulation import InstructionKind
from deployopt.remote.emulation.opcodes import count_kinds, kind_of

WORDS = {
    InstructionKind.FLOAT_MULTIPLY_ADD: (
        (0x4E22CC20, "fmla v0.4s, v1.4s, v2.4s"),
        (0x4FA21820, "fmla v0.4s, v1.4s, v2.s[3]"),
        (0x4E420C20, "fmla v0.8h, v1.8h, v2.8h"),
        (0x4FC25820, "fmls v0.2d, v1.2d, v2.d[1]"),
        (0x1F020C20, "fmadd s0, s1, s2, s3"),
        (0x5FA21020, "fmla s0, s1, v2.s[1]"),
    ),
    InstructionKind.FLOAT_OTHER: (
        (0x6E22DC20, "fmul v0.4s, v1.4s, v2.4s"),
        (0x4F829020, "fmul v0.4s, v1.4s, v2.s[0]"),
        (0x4E22D420, "fadd v0.4s, v1.4s, v2.4s"),
        (0x1E222820, "fadd s0, s1, s2"),
        (0x4E22F420, "fmax v0.4s, v1.4s, v2.4s"),
        (0x4E21A820, "fcvtns v0.4s, v1.4s"),
        (0x4E21D820, "scvtf v0.4s, v1.4s"),
        (0x1E380020, "fcvtzs w0, s1"),
        (0x6E30F820, "fmaxv s0, v1.4s"),
        (0x6EA1D820, "frsqrte v0.4s, v1.4s"),
        (0x4EA0C820, "fcmgt v0.4s, v1.4s, #0.0"),
        (0x1E270020, "fmov s0, w1"),
        (0x7E30D820, "faddp s0, v1.2s"),
        (0x4EA0F820, "fabs v0.4s, v1.4s"),
    ),
    InstructionKind.DOT: (
        (0x4E829420, "sdot v0.4s, v1.16b, v2.16b"),
        (0x6F82E820, "udot v0.4s, v1.16b, v2.4b[2]"),
        (0x0E829420, "sdot v0.2s, v1.8b, v2.8b"),
    ),
    InstructionKind.INTEGER_MULTIPLY: (
        (0x0E22C020, "smull v0.8h, v1.8b, v2.8b"),
        (0x4E22C020, "smull2 v0.8h, v1.16b, v2.16b"),
        (0x2F722020, "umlal v0.4s, v1.4h, v2.h[3]"),
        (0x4E628020, "smlal2 v0.4s, v1.8h, v2.8h"),
        (0x0E228020, "smlal v0.8h, v1.8b, v2.8b"),
        (0x4EA29C20, "mul v0.4s, v1.4s, v2.4s"),
        (0x6FA20020, "mla v0.4s, v1.4s, v2.s[1]"),
        (0x6EA2B420, "sqrdmulh v0.4s, v1.4s, v2.4s"),
    ),
    InstructionKind.VECTOR_OTHER: (
        (0x4E606820, "sadalp v0.4s, v1.8h"),
        (0x6E606820, "uadalp v0.4s, v1.8h"),
        (0x4EA28420, "add v0.4s, v1.4s, v2.4s"),
        (0x4EB1B820, "addv s0, v1.4s"),
        (0x4F000400, "movi v0.4s, #0x0"),
        (0x4E040C20, "dup v0.4s, w1"),
        (0x2F08A420, "uxtl v0.8h, v1.8b"),
        (0x0E214820, "sqxtn v0.8b, v1.8h"),
        (0x4E221C20, "and v0.16b, v1.16b, v2.16b"),
        (0x4E020020, "tbl v0.16b, {v1.16b}, v2.16b"),
        (0x4E823820, "zip1 v0.4s, v1.4s, v2.4s"),
        (0x4F3D0420, "sshr v0.4s, v1.4s, #3"),
        (0x6E221C20, "eor v0.16b, v1.16b, v2.16b"),
        (0x4E284820, "aese v0.16b, v1.16b"),
    ),
    InstructionKind.LOAD: (
        (0xF9400420, "ldr x0, [x1, #8]"),
        (0x3CC10420, "ldr q0, [x1], #16"),
        (0xAD400440, "ldp q0, q1, [x2]"),
        (0x4CDFA820, "ld1 {v0.4s, v1.4s}, [x1], #32"),
        (0x4D40C820, "ld1r {v0.4s}, [x1]"),
        (0xB8A26820, "ldrsw x0, [x1, x2]"),
        (0x39400020, "ldrb w0, [x1]"),
        (0xB85FC020, "ldur w0, [x1, #-4]"),
        (0x18000000, "ldr w0, d4"),
        (0x885FFC20, "ldaxr w0, [x1]"),
        (0x88DFFC20, "ldar w0, [x1]"),
        (0xB8200041, "ldadd w0, w1, [x2]"),
    ),
    InstructionKind.STORE: (
        (0xF9000420, "str x0, [x1, #8]"),
        (0x3C810C20, "str q0, [x1, #16]!"),
        (0xBC226820, "str s0, [x1, x2]"),
        (0xA9BF07E0, "stp x0, x1, [sp, #-16]!"),
        (0xAC000440, "stnp q0, q1, [x2]"),
        (0x4C007020, "st1 {v0.16b}, [x1]"),
        (0x781FE020, "sturh w0, [x1, #-2]"),
        (0x8803FC20, "stlxr w3, w0, [x1]"),
        (0x889FFC20, "stlr w0, [x1]"),
    ),
    InstructionKind.OTHER: (
        (0xF9802020, "prfm pldl1keep, [x1, #64]"),
        (0x8B020020, "add x0, x1, x2"),
        (0x51001020, "sub w0, w1, #0x4"),
        (0x9B020C20, "madd x0, x1, x2, x3"),
        (0x9B227C20, "smull x0, w1, w2"),
        (0x90000000, "adrp x0, 0"),
        (0xD37DF020, "lsl x0, x1, #3"),
        (0x9A820020, "csel x0, x1, x2, eq"),
        (0xEB01001F, "cmp x0, x1"),
        (0xD53B4200, "mrs x0, nzcv"),
        (0xD5033BBF, "dmb ish"),
        (0xD503201F, "nop"),
        (0xD4000001, "svc #0x0"),
        (0x1AC24820, "crc32w w0, w1, w2"),
    ),
    InstructionKind.BRANCH: (
        (0x14000000, "b 10c"),
        (0x94000000, "bl 110"),
        (0x54000001, "b.ne 114"),
        (0xB4000000, "cbz x0, 118"),
        (0x37180000, "tbnz w0, #3, 11c"),
        (0xD65F03C0, "ret"),
        (0xD61F0020, "br x1"),
        (0xD63F0040, "blr x2"),
    ),
}


@pytest.mark.parametrize(
    ("kind", "word", "text"),
    [(kind, word, text) for kind, rows in WORDS.items() for word, text in rows],
)
def test_an_instruction_is_of_its_kind(kind: InstructionKind, word: int, text: str) -> None:
    assert kind_of(word) is kind, text


def test_many_are_counted_at_once_as_one_by_one() -> None:
    words = np.array([word for rows in WORDS.values() for word, _ in rows], dtype=np.uint64)
    times = np.arange(1, len(words) + 1, dtype=np.uint64)
    counts = count_kinds(words, times)
    assert sum(counts.values()) == int(times.sum())
    for kind in InstructionKind:
        mine = [int(t) for w, t in zip(words, times, strict=True) if kind_of(int(w)) is kind]
        assert counts[kind] == sum(mine)


def test_nothing_executed_is_nothing_of_every_kind() -> None:
    nothing = np.array([], dtype=np.uint64)
    assert count_kinds(nothing, nothing) == dict.fromkeys(InstructionKind, 0)
