"""How long the build of a cell is expected to take, for the time that a matrix has left.

In: cells. Out: the same, with the wall seconds of their plans where a plan can say without opening
the model: of an alias or a folder with the data that comes with it.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.errors import DeployoptError
from deployopt.core.matrix import CellRequest
from deployopt.pipeline.matrix.cell import build_request
from deployopt.sources.hub_names import PREFIX
from deployopt.sources.naming import GRAPH

MOST: Final = 400
"""Plans that are made; of more cells a model's first target stands for its others."""


def with_expected(cells: Sequence[CellRequest]) -> tuple[CellRequest, ...]:
    """Each with `expected_s`, where it can be said."""
    known: dict[tuple[str, str], float | None] = {}
    return tuple(
        msgspec.structs.replace(cell, expected_s=_expected(cell, known, each=len(cells) <= MOST))
        for cell in cells
    )


def _expected(
    cell: CellRequest, known: dict[tuple[str, str], float | None], *, each: bool
) -> float | None:
    if cell.data is not None or cell.model.endswith(GRAPH) or cell.model.startswith(PREFIX):
        return None
    place = (cell.model, cell.target.name if each else "")
    if place not in known and len(known) < MOST:
        known[place] = _planned(cell)
    return known.get(place)


def _planned(cell: CellRequest) -> float | None:
    from deployopt.pipeline.planning import run_plan

    try:
        expected = run_plan(build_request(cell)).plan.build_s
    except DeployoptError:
        return None  # whoever builds it says why
    return None if expected is None else expected.value
