"""Cells become one graph of steps: every recipe of every cell, each shared step once.

In: requests for cells. Out: steps with their keys and whether the store or a share has them, and
what each cell would try. Nothing is built and nothing fetched; a model and data at hand are
prepared as `build` does it, and where they are not the graph is known, but not what lies in the
store.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from deployopt.core.artifact import Artifact
from deployopt.core.codec import to_plain
from deployopt.core.errors import DeployoptError, MissingExtraError, SourceError
from deployopt.core.matrix import CellRequest
from deployopt.core.recipe import Recipe, Step
from deployopt.core.request import BuildRequest
from deployopt.core.search import Effort
from deployopt.core.source import SourceModel
from deployopt.core.step_graph import PlannedCell, PlannedStep, StepState
from deployopt.core.watching import SILENT
from deployopt.pipeline.ground import Ground
from deployopt.pipeline.making import shared_artifact, step_key, stored_artifact, tool_versions
from deployopt.pipeline.matrix.cell import build_request
from deployopt.sources.staying import nothing_fetched
from deployopt.store.keys import cache_key
from deployopt.store.share import Share
from deployopt.store.store import Store

_ID: Final = 16
_SEARCHED: Final = (
    "A search adds smaller shapes; their steps are decided as it goes and are not among these."
)
_ELSEWHERE: Final = (
    "The device was not asked: where its arithmetic differs from this machine's, so do the steps."
)
_UNFETCHED: Final = (
    "{model} or its data is not in the store yet, and nothing is fetched for a plan, so it is not "
    "known which of these steps the store has."
)


class _Node(msgspec.Struct, kw_only=True):
    """A step while others may still ask for it."""

    step: PlannedStep
    recipes: dict[str, None] = {}
    cells: dict[str, None] = {}


class Grapher:
    """Collects the steps of cells; `nodes` are in topological order."""

    def __init__(self, store: Store, share: Share | None = None) -> None:
        self._store = store
        self._share = share
        self._sources: dict[tuple[str, str | None, bool], SourceModel | SourceError] = {}
        self._nodes: dict[str, _Node] = {}
        self._known: dict[str, Artifact | None] = {}
        self.asked = 0

    def add(self, cell: CellRequest) -> PlannedCell:
        """What the cell would do; its steps join those of the cells before."""
        request = build_request(cell)
        try:
            return self._planned(cell, request)
        except DeployoptError as error:
            return PlannedCell(name=cell.name, refused=str(error), exit_code=int(error.exit_code))

    def steps(self) -> tuple[PlannedStep, ...]:
        """All of them, each once, each after what it is made of."""
        return tuple(
            msgspec.structs.replace(node.step, recipes=tuple(node.recipes), cells=tuple(node.cells))
            for node in self._nodes.values()
        )

    def _planned(self, cell: CellRequest, request: BuildRequest) -> PlannedCell:
        notes = [] if cell.device is None and cell.pool is None else [_ELSEWHERE]
        try:
            ground = self._prepared(request)
        except (SourceError, MissingExtraError) as error:
            from deployopt.pipeline.planning import expected_recipes, run_plan

            missing = isinstance(error, MissingExtraError)
            notes.append(str(error) if missing else _UNFETCHED.format(model=request.model))
            plan, recipes = run_plan(request).plan, expected_recipes(request)
            ids = self._join(cell, recipes, None)
        else:
            plan, recipes = ground.plan, ground.recipes
            ids = self._join(cell, recipes, ground)
            if _searches(request, ground):
                notes.append(_SEARCHED)
        self.asked += len(ids)
        return PlannedCell(
            name=cell.name,
            recipes=tuple(recipe.name for recipe in recipes),
            steps=ids,
            plan=plan,
            notes=tuple(notes),
        )

    def _prepared(self, request: BuildRequest) -> Ground:
        from deployopt.pipeline.language.options import require_asked_rightly
        from deployopt.pipeline.language.preparing import prepare_language
        from deployopt.pipeline.preparing import prepare

        with nothing_fetched():
            source = self._source(request)
            if source.interface.generates:
                require_asked_rightly(request)
                return prepare_language(request, source, self._store, SILENT, None)
            # What a search learns from has no part in the plain recipes, and takes long to gather.
            plain = msgspec.structs.replace(request, effort=Effort.QUICK)
            return prepare(plain, self._store, SILENT, source)

    def _source(self, request: BuildRequest) -> SourceModel:
        """Resolved once for all cells that name it."""
        from deployopt.pipeline.preparing import named_source

        lock = None if request.lock is None else str(request.lock)
        name = (request.model, lock, request.unsafe_load_pickle)
        if name not in self._sources:
            try:
                self._sources[name] = named_source(request, self._store)
            except SourceError as error:
                self._sources[name] = error
        found = self._sources[name]
        if isinstance(found, SourceError):
            raise found
        return found

    def _join(
        self, cell: CellRequest, recipes: Sequence[Recipe], ground: Ground | None
    ) -> tuple[str, ...]:
        """The ids of the cell's steps."""
        ids: dict[str, None] = {}
        for recipe in recipes:
            artifact = None if ground is None else ground.source.artifact
            before: str | None = None
            for step in recipe.steps:
                node = self._node(cell, step, before, ground)
                if node not in self._nodes:
                    self._nodes[node] = self._made(cell, step, (node, before), artifact, ground)
                self._nodes[node].recipes[recipe.name] = None
                self._nodes[node].cells[cell.name.id] = None
                ids[node] = None
                artifact, before = self._known.get(node), node
        return tuple(ids)

    def _node(
        self, cell: CellRequest, step: Step, before: str | None, ground: Ground | None
    ) -> str:
        """What tells a step from others before its input is there."""
        bench = None if ground is None else ground.bench
        start = cell.model if ground is None else ground.source.artifact.digest
        fields = {
            "step": step.name,
            "version": step.version,
            "options": to_plain(step),
            "source": before or start,
            "interface": None if bench is None else to_plain(bench.interface),
            "samples": bench.samples_digest if bench is not None and step.uses_samples else "",
            "seed": cell.seed,
        }
        return cache_key(fields)[:_ID]

    def _made(
        self,
        cell: CellRequest,
        step: Step,
        place: tuple[str, str | None],
        source: Artifact | None,
        ground: Ground | None,
    ) -> _Node:
        node, before = place
        key, state = None, StepState.UNKNOWN if ground is None else StepState.TO_MAKE
        if ground is not None and source is not None:
            key = step_key(step, source, ground.bench, tool_versions(step.tools))
            state, self._known[node] = self._looked_up(step, key)
        return _Node(
            step=PlannedStep(
                id=node,
                after=before,
                model=cell.name.model,
                name=step.name,
                options=options_words(step),
                state=state,
                key=key,
                recipes=(),
                cells=(),
            )
        )

    def _looked_up(self, step: Step, key: str) -> tuple[StepState, Artifact | None]:
        stored = self._store.lookup(key)
        if stored is not None:
            return StepState.STORED, stored_artifact(stored)
        shared = None if self._share is None else shared_artifact(step, key, self._share)
        return (StepState.TO_MAKE if shared is None else StepState.SHARED), shared


def _searches(request: BuildRequest, ground: Ground) -> bool:
    from deployopt.pipeline.preparing import effort_of

    return not ground.source.interface.generates and effort_of(request) is not Effort.QUICK


def options_words(step: Step) -> str:
    """The options that are not the step's usual ones."""
    return ", ".join(_unusual(step))


def _unusual(step: Step) -> Iterator[str]:
    plain = to_plain(step)
    if not isinstance(step, msgspec.Struct):
        return
    for field in msgspec.structs.fields(type(step)):
        value = getattr(step, field.name)
        if field.default is msgspec.NODEFAULT or value != field.default:
            if field.default_factory is not msgspec.NODEFAULT and value == field.default_factory():
                continue
            shown = plain[field.encode_name] if isinstance(plain, dict) else value
            yield f"{field.name}={msgspec.json.encode(shown).decode()}"
