"""What kind of instruction a 32-bit word of A64 code is.

In: words as they lie in memory, little-endian. Out: counts by kind. The rows follow the encoding
tables of the Arm Architecture Reference Manual (DDI 0487, C4.1); the first row that fits decides.
Vector kinds that the supported processors lack (SVE, matrix products of bfloat16) have no rows.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from deployopt.core.emulation import InstructionKind

_K = InstructionKind
_ROWS: Final[tuple[tuple[int, int, InstructionKind], ...]] = (
    # Scalar floating point: FMADD and its like, then all others.
    (0xFF000000, 0x1F000000, _K.FLOAT_MULTIPLY_ADD),
    (0x7F000000, 0x1E000000, _K.FLOAT_OTHER),
    # SDOT, UDOT, USDOT, SMMLA, USMMLA: vectors, then by element.
    (0x9FE0F400, 0x0E809400, _K.DOT),
    (0x9FE0F400, 0x0E80A400, _K.DOT),
    (0x9FC0F400, 0x0F80E000, _K.DOT),
    (0xBFC0F400, 0x0F80F000, _K.DOT),
    (0xBFC0F400, 0x0F00F000, _K.DOT),
    # MLA, MLS, MUL, SQDMULH: vectors of one width.
    (0x9F20FC00, 0x0E209400, _K.INTEGER_MULTIPLY),
    (0xBF20FC00, 0x0E209C00, _K.INTEGER_MULTIPLY),
    (0x9F20FC00, 0x0E20B400, _K.INTEGER_MULTIPLY),
    # SMLAL, SQDMLAL, SMLSL, SQDMLSL, SMULL, SQDMULL and the unsigned: into twice the width.
    (0x9F20EC00, 0x0E208000, _K.INTEGER_MULTIPLY),
    (0x9F20EC00, 0x0E20A000, _K.INTEGER_MULTIPLY),
    (0x9F20EC00, 0x0E20C000, _K.INTEGER_MULTIPLY),
    # The same by element, in the order of their opcodes.
    (0xBF00B400, 0x2F000000, _K.INTEGER_MULTIPLY),
    (0x9F00B400, 0x0F002000, _K.INTEGER_MULTIPLY),
    (0xBF00B400, 0x0F003000, _K.INTEGER_MULTIPLY),
    (0xBF00F400, 0x0F008000, _K.INTEGER_MULTIPLY),
    (0x9F00F400, 0x0F00A000, _K.INTEGER_MULTIPLY),
    (0xBF00F400, 0x0F00B000, _K.INTEGER_MULTIPLY),
    (0x9F00E400, 0x0F00C000, _K.INTEGER_MULTIPLY),
    # FMLA and FMLS: vectors of one width, of half precision, into single; by element.
    (0xBF20FC00, 0x0E20CC00, _K.FLOAT_MULTIPLY_ADD),
    (0xBF60FC00, 0x0E400C00, _K.FLOAT_MULTIPLY_ADD),
    (0xBF60FC00, 0x0E20EC00, _K.FLOAT_MULTIPLY_ADD),
    (0xBF60FC00, 0x2E20CC00, _K.FLOAT_MULTIPLY_ADD),
    (0xAF00B400, 0x0F001000, _K.FLOAT_MULTIPLY_ADD),
    # Other vector floating point: three registers; two of them, in three groups of opcodes; half
    # precision; by element; to and from fixed point.
    (0x8F20C400, 0x0E20C400, _K.FLOAT_OTHER),
    (0x8F3FCC00, 0x0E20C800, _K.FLOAT_OTHER),
    (0x8F3F8C00, 0x0E218800, _K.FLOAT_OTHER),
    (0x8F3FEC00, 0x0E216800, _K.FLOAT_OTHER),
    (0x8F3FCC00, 0x0E30C800, _K.FLOAT_OTHER),
    (0x8F60C400, 0x0E400400, _K.FLOAT_OTHER),
    (0x8F7E0C00, 0x0E780800, _K.FLOAT_OTHER),
    (0x8F00F400, 0x0F009000, _K.FLOAT_OTHER),
    (0x8F80FC00, 0x0F00E400, _K.FLOAT_OTHER),
    (0x8F80FC00, 0x0F00FC00, _K.FLOAT_OTHER),
    (0x0E000000, 0x0E000000, _K.VECTOR_OTHER),
    # Prefetches move nothing into a register.
    (0xFF000000, 0xD8000000, _K.OTHER),
    (0xFEC00000, 0xF8800000, _K.OTHER),
    # Atomics load and store; they count once, as loads.
    (0x3F200C00, 0x38200000, _K.LOAD),
    # Stores: one register, one of a vector, pairs, exclusive and of structures, ordered.
    (0x3EC00000, 0x38000000, _K.STORE),
    (0x3E400000, 0x3C000000, _K.STORE),
    (0x3A400000, 0x28000000, _K.STORE),
    (0x3A400000, 0x08000000, _K.STORE),
    (0x3FC00000, 0x19000000, _K.STORE),
    (0x0A000000, 0x08000000, _K.LOAD),
    # B and BL, B.cond, CBZ, TBZ, BR and RET; not system instructions.
    (0x7C000000, 0x14000000, _K.BRANCH),
    (0xFF000000, 0x54000000, _K.BRANCH),
    (0x7C000000, 0x34000000, _K.BRANCH),
    (0xFE000000, 0xD6000000, _K.BRANCH),
    (0x00000000, 0x00000000, _K.OTHER),
)


def kind_of(word: int) -> InstructionKind:
    """The kind of one instruction."""
    return next(kind for mask, value, kind in _ROWS if word & mask == value)


def count_kinds(
    words: npt.NDArray[np.uint64], times: npt.NDArray[np.uint64]
) -> dict[InstructionKind, int]:
    """How many instructions of each kind `times` runs of these `words` make."""
    counts = dict.fromkeys(InstructionKind, 0)
    for mask, value, kind in _ROWS:
        fits = (words & np.uint64(mask)) == np.uint64(value)
        counts[kind] += int(times[fits].sum())
        words, times = words[~fits], times[~fits]
    return counts
