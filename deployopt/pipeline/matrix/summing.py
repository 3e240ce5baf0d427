"""Results of cells become the result of a matrix, whose size is bounded whatever the number.

In: all cells. Out: counts over all of them; of very many, the foremost cells themselves. The log
beside the result has every one.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deployopt.core.matrix import CellResult, MatrixResult, Word, foremost_cells, worst

MOST: Final = 10_000
"""Cells that a result holds."""


def summed_up(
    cells: Sequence[CellResult], *, output: Path, seconds: float, most: int = MOST
) -> MatrixResult:
    """The result; who built it, and what was asked, are for the caller to add."""
    words = Counter(cell.word for cell in cells)
    built = [cell for cell in cells if not cell.reused]
    return MatrixResult(
        output=str(output),
        executor="",
        jobs=1,
        cells=tuple(foremost_cells(cells, most)),
        total=len(cells),
        counts={word.value: words[word] for word in Word if words[word]},
        steps_made=sum(cell.steps_made for cell in built),
        steps_reused=sum(cell.steps_reused for cell in built),
        reused=len(cells) - len(built),
        seconds=round(seconds, 3),
        exit_code=int(worst(cell.exit_code for cell in cells)),
    )
