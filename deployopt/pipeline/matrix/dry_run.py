"""What `deployopt matrix` would do with a file: checked in the same way, nothing begun."""

import msgspec

from deployopt.core.matrix import CellRequest
from deployopt.core.step_graph import StepGraphResult
from deployopt.pipeline.matrix.foreseeing import graph_of
from deployopt.pipeline.matrix.journal import Journal
from deployopt.pipeline.matrix.run import MatrixRequest, places_of, planned_cells, read_matrix


def plan_matrix(request: MatrixRequest) -> StepGraphResult:
    """The graph of its steps.

    Raises:
        UsageError: the file or a name in it is wrong, or the folder holds something else.
        IntegrityError: the log of an earlier call was changed.
        StorageError: the store cannot be read.
    """
    file = read_matrix(request.file)
    places = places_of(request, file)
    cells, _ = planned_cells(request, file, places)
    journal = Journal(places.output, begin=False)

    def done(cell: CellRequest) -> bool:
        return journal.done(cell.name.id, cell.key) is not None

    return msgspec.structs.replace(graph_of(cells, done), file=str(request.file))
