"""Everything that is known before any work: the model, its data, the machine, what they cost.

In: a request. Out: local files, checked, and a plan. Refuses here what could only fail later: a
model that cannot fit, recipes that cannot run, a destination that is taken, labels that differ.
"""

import hashlib
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.budget import Budget
from deployopt.core.errors import CannotFitError, UsageError
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.examples import decode_examples
from deployopt.core.measurement import Machine, Split
from deployopt.core.metric import Kind
from deployopt.core.plan import Facts, Forecast, Plan
from deployopt.core.recipe import Recipe
from deployopt.core.request import BuildRequest
from deployopt.core.samples import Feed, encode_samples
from deployopt.core.source import Dataset, SourceModel
from deployopt.core.summaries import tail_quantile
from deployopt.core.target import Target
from deployopt.core.watching import Watcher
from deployopt.core.workload import Workload
from deployopt.device.inputs import feeds
from deployopt.device.machine import describe_machine, evidence_of
from deployopt.device.setup import threads_here
from deployopt.pipeline.facts import RequestShapes, is_convolutional, request_shapes, source_facts
from deployopt.pipeline.making import Workbench
from deployopt.pipeline.recipes import FLOAT, arithmetic_for, recipes_for
from deployopt.planning.evaluation_size import EvaluationSize, judge_evaluation_size
from deployopt.planning.fit import check_fit
from deployopt.planning.predict import forecast
from deployopt.sources.data import load_dataset
from deployopt.sources.locking import read_lock
from deployopt.sources.models import resolve_model
from deployopt.sources.parts import DataOptions
from deployopt.store.keys import cache_key
from deployopt.store.store import Store
from deployopt.store.writing import write_new_file

_SAMPLES_FILE: Final = "samples.npz"
_SAMPLES_VERSION: Final = 1


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What the rest of a build starts from."""

    request: BuildRequest
    source: SourceModel
    dataset: Dataset
    machine: Machine
    evidence: Evidence
    budgets: tuple[Budget, ...]
    recipes: tuple[Recipe, ...]
    reduced_range: bool
    bench: Workbench
    shapes: RequestShapes | None
    facts: Facts | None
    plan: Plan
    warnings: tuple[str, ...]


def prepare(
    request: BuildRequest,
    store: Store,
    watcher: Watcher,
    source: SourceModel | None = None,
) -> Prepared:
    """Find out what is asked and what it would cost; `source` where the model is at hand already.

    Raises:
        UsageError: the target, the model, the data or the budgets are wrong.
        CannotFitError: the model cannot fit the target; says what would.
        SourceError: the model or its data cannot be fetched.
        RefusedInputError: they could run code or break a reader.
    """
    budgets = request.limits
    if not budgets:
        raise UsageError(
            f"Target {request.target.name} has no budgets and none were given, so nothing could be "
            "judged. Add for example --budget latency_p95=60ms."
        )
    watcher.stage("Model")
    lock = read_lock(request.lock) if request.lock is not None and request.lock.exists() else None
    source = source or resolve_model(request.model, store=store, lock=lock)
    early = source_facts(source, request.target.workload, None)
    _require_fit(request.target, source, early)
    watcher.stage("Data")
    dataset = load_dataset(
        request.data,
        model=source,
        store=store,
        seed=request.seed,
        options=DataOptions(columns=request.columns),
        lock=lock,
    )
    calibration = split_feeds(source, dataset, Split.CALIBRATION)
    workload = request.target.workload
    # A latency budget's quantile falls on requests of that quantile's size.
    shapes = request_shapes(calibration, source, workload, tail_quantile(budgets))
    facts = source_facts(source, workload, shapes)
    _require_fit(request.target, source, facts)
    machine = describe_machine()
    arithmetic = arithmetic_for(request.target, machine)
    recipes = recipes_for(
        source, request.target, arithmetic, convolutional=is_convolutional(source, facts)
    )
    size = _evaluation_size(dataset, budgets)
    short = size is not None and (size.needed is None or size.examples < size.needed)
    warnings = (size.sentence,) if size is not None and short else ()
    return Prepared(
        request=request,
        source=source,
        dataset=dataset,
        machine=machine,
        evidence=evidence_of(request.target, machine),
        budgets=budgets,
        recipes=recipes,
        reduced_range=arithmetic.reduce_range,
        bench=_bench(
            request,
            store,
            source,
            calibration,
            threads=threads_here(request.target.runtime.threads),
        ),
        shapes=shapes,
        facts=facts,
        plan=_plan(request, source, recipes, facts, size),
        warnings=warnings,
    )


def split_feeds(source: SourceModel, dataset: Dataset, split: Split) -> list[Feed]:
    """The split's examples one by one as the model takes them, at their real lengths."""
    examples = decode_examples(dataset.splits[split].path)
    return list(feeds(source.interface, source.artifact.folder, examples.inputs, Workload()))


def predictions(
    target: Target, facts: Facts | None, precision: Precision, budgets: tuple[Budget, ...]
) -> dict[str, Estimate]:
    """An estimate for every budget that has one; none where the facts are not known yet."""
    if facts is None:
        return {}
    return forecast(target, facts, precision, [b.metric for b in budgets])


def _require_fit(target: Target, source: SourceModel, facts: Facts | None) -> None:
    if facts is None:
        return
    fit = check_fit(target, facts)
    if not fit.fits:
        instead = "".join(f"\n  - {other}" for other in fit.what_would_fit)
        raise CannotFitError(
            f"{source.name} cannot fit {target.name}: {fit.reason}. What would fit:{instead}"
        )


def _evaluation_size(dataset: Dataset, budgets: tuple[Budget, ...]) -> EvaluationSize | None:
    """What the gate split can prove; None where accuracy has no budget."""
    limit = next((b.limit for b in budgets if b.definition.kind is Kind.ACCURACY), None)
    there = dataset.splits[Split.GATE].examples
    return None if limit is None else judge_evaluation_size(there, limit)


def _bench(
    request: BuildRequest,
    store: Store,
    source: SourceModel,
    calibration: list[Feed],
    *,
    threads: int,
) -> Workbench:
    data = encode_samples(calibration)
    key = cache_key({"samples": _SAMPLES_VERSION, "bytes": hashlib.sha256(data).hexdigest()})
    stored = store.lookup(key)
    if stored is None:
        with store.stage() as folder:
            write_new_file(folder / _SAMPLES_FILE, data)
            stored = store.commit(folder, key)
    return Workbench(
        store=store,
        interface=source.interface,
        samples=stored.folder / _SAMPLES_FILE,
        samples_digest=stored.digest,
        seed=request.seed,
        threads=threads,
    )


def _plan(
    request: BuildRequest,
    source: SourceModel,
    recipes: tuple[Recipe, ...],
    facts: Facts | None,
    size: EvaluationSize | None,
) -> Plan:
    budgets = request.limits
    fit = None if facts is None else check_fit(request.target, facts)
    return Plan(
        target=request.target,
        model=source.name,
        budgets=budgets,
        fits=fit is None or fit.fits,
        fit_reason="its graph is counted once it is exported" if fit is None else fit.reason,
        forecasts=tuple(
            Forecast(
                recipe=recipe.name,
                reason=recipe.reason,
                estimates=predictions(
                    request.target, facts, expected_precision(recipe, source), budgets
                ),
            )
            for recipe in recipes
        ),
        gate_examples=None if size is None else size.examples,
        gate_examples_needed=None if size is None else size.needed,
    )


def expected_precision(recipe: Recipe, source: SourceModel) -> Precision:
    """The precision a recipe is expected to give; what is found in the artifact replaces it."""
    return source.artifact.precision if recipe.name == FLOAT else Precision.INT8
