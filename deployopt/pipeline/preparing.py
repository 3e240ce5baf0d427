"""Everything that is known before any work: the model, its data, the machine, what they cost.

In: a request. Out: local files, checked, and a plan. Refuses here what could only fail later: a
model that cannot fit, recipes that cannot run, a destination that is taken, labels that differ.
"""

import hashlib
from typing import Final

from deployopt.core.budget import Budget
from deployopt.core.errors import UsageError
from deployopt.core.evidence import Evidence
from deployopt.core.examples import decode_examples
from deployopt.core.judging.suitable import budgets_in_its_terms, require_budgets_for
from deployopt.core.measurement import Machine, Split
from deployopt.core.plan import Facts
from deployopt.core.recipe import Lesson
from deployopt.core.request import BuildRequest
from deployopt.core.samples import Feed, encode_samples
from deployopt.core.search import Effort
from deployopt.core.source import Dataset, SourceModel
from deployopt.core.summaries import tail_quantile
from deployopt.core.target import Target
from deployopt.core.watching import Watcher
from deployopt.core.workload import Workload
from deployopt.device.detecting.matching import need_matching
from deployopt.device.device import Device, ThisMachine
from deployopt.device.inputs import feeds
from deployopt.device.machine import evidence_of, matches
from deployopt.device.setup import threads_here
from deployopt.pipeline.drawing import drawable, notes_of
from deployopt.pipeline.facts import RequestShapes, is_convolutional, request_shapes, source_facts
from deployopt.pipeline.forecasting import (
    Asked,
    evaluation_size,
    make_plan,
    require_budgets,
    require_fit,
    too_few,
    ways_of,
    worth_trying,
)
from deployopt.pipeline.ground import Ground
from deployopt.pipeline.making import Workbench
from deployopt.pipeline.material import Material, gather_material
from deployopt.pipeline.profiles import profile_for
from deployopt.pipeline.recipes import (
    Form,
    arithmetic_for,
    forms_for,
    missing_runtimes,
    recipes_for,
)
from deployopt.pipeline.runtimes import built_apart, place_of, with_runtime
from deployopt.pipeline.schedules import Site, Sizes, expected_build
from deployopt.sources.captions import read_captions
from deployopt.sources.choice_lines import read_choice_lines
from deployopt.sources.data import load_dataset
from deployopt.sources.locking import Lock, read_lock
from deployopt.sources.models import resolve_model
from deployopt.sources.naming import check_data_name, is_path
from deployopt.sources.parts import DataOptions
from deployopt.sources.placing import located
from deployopt.store.experiences import read_experiences
from deployopt.store.keys import cache_key
from deployopt.store.store import Store
from deployopt.store.writing import write_new_file

_SAMPLES_FILE: Final = "samples.npz"
_SAMPLES_VERSION: Final = 1


class Prepared(Ground, frozen=True, kw_only=True):
    """A classifier, or a graph whose outputs are compared: what its build starts from."""

    forms: tuple[Form, ...]
    shapes: RequestShapes | None
    facts: Facts | None
    material: Material | None
    """What smaller shapes may learn from; None where nothing is taught."""


def prepare(
    request: BuildRequest,
    store: Store,
    watcher: Watcher,
    source: SourceModel | None = None,
    device: Device | None = None,
) -> Prepared:
    """Find out what is asked and what it would cost; `source` where the model is at hand already.

    `device` measures what is built; None is this machine.

    Raises:
        UsageError: the target, the model, the data or the budgets are wrong.
        CannotFitError: the model cannot fit the target; says what would.
        SourceError: the model or its data cannot be fetched.
        RefusedInputError: they could run code or break a reader.
    """
    require_budgets(request)
    request, source = _with_source(request, source, store, watcher)
    budgets = _budgets_of(request, source)
    lock = lock_at(request)
    early = source_facts(source, request.target.workload, None)
    require_fit(request.target, source.name, early)
    watcher.stage("Data")
    dataset = load_dataset(
        request.data,
        model=source,
        store=store,
        seed=request.seed,
        options=DataOptions(columns=request.columns),
        lock=lock,
    )
    material = None
    if effort_of(request) is not Effort.QUICK:
        material = gather_material(request, source, dataset, store)
    calibration = split_feeds(source, dataset, Split.CALIBRATION)
    workload = request.target.workload
    # A latency budget's quantile falls on requests of that quantile's size.
    shapes = request_shapes(calibration, source, workload, tail_quantile(budgets))
    facts = source_facts(source, workload, shapes)
    require_fit(request.target, source.name, facts)
    device = device or ThisMachine()
    require_here(request.target, device)
    machine = device.machine
    arithmetic = arithmetic_for(request.target, machine)
    forms = forms_for(
        source.artifact,
        request.target,
        arithmetic,
        convolutional=is_convolutional(source, facts),
        place=place_of(
            request.target, profile_for(source.interface, workload, shapes, calibration)
        ),
    )
    recipes = recipes_for(source.artifact, request.target, forms)
    evidence = evidence_here(request.target, machine)
    threads = threads_here(request.target.runtime.threads)
    ways = ways_of(recipes, source.artifact)
    site = Site(arch=machine.arch, cores=threads, evidence=evidence)
    size = evaluation_size(dataset.splits[Split.GATE].examples, budgets)
    experiences = read_experiences(store.layout.root)
    warnings = (*too_few(size), *missing_runtimes(request.target))
    plan = make_plan(
        Asked(
            target=request.target,
            model=source.name,
            budgets=budgets,
            facts=facts,
            experiences=experiences,
        ),
        ways,
        size,
        build_s=expected_build(facts, ways, source.artifact.format, _sizes(dataset), site),
        warnings=warnings,
    )
    if evidence is not Evidence.TARGET and not isinstance(device, ThisMachine):
        reason = matches(request.target, machine)
        warnings = (
            *warnings,
            f"{device.where} only stands in for {request.target.name}: {reason}.",
        )
    recipes, left_out = worth_trying(recipes, plan, evidence)
    return Prepared(
        request=request,
        source=source,
        dataset=dataset,
        device=device,
        evidence=evidence,
        budgets=budgets,
        forms=forms,
        recipes=recipes,
        reduced_range=arithmetic.reduce_range,
        bench=_bench(
            request,
            store,
            source,
            calibration,
            threads=threads,
            lesson=None if material is None else material.lesson,
        ),
        shapes=shapes,
        facts=facts,
        plan=plan,
        material=material,
        experiences=experiences,
        warnings=(*warnings, *left_out, *notes_of(source, request.target)),
    )


def _budgets_of(request: BuildRequest, source: SourceModel) -> tuple[Budget, ...]:
    """The request's, in the terms of the model; raises where they cannot be judged."""
    require_budgets_for(source.interface, request.budgets)
    if source.interface.detects:
        need_matching()
    if request.questions is not None:
        raise UsageError(
            "--questions is for language models. What a classifier is judged by goes to --data."
        )
    return budgets_in_its_terms(source.interface, request.limits)


def _with_source(
    request: BuildRequest, source: SourceModel | None, store: Store, watcher: Watcher
) -> tuple[BuildRequest, SourceModel]:
    """The target as the runtime sees it, and the model, fetched where it is not at hand."""
    if source is not None:
        return with_runtime(drawable(request, source)), source
    request = with_runtime(request)
    watcher.stage("Model")
    source = named_source(request, store)
    return drawable(request, source), source


def require_here(target: Target, device: Device) -> None:
    """Raise UsageError where another machine would measure what is only built for a card."""
    if target.runtime.provider != "cpu" and not isinstance(device, ThisMachine):
        raise UsageError(
            f"--device measures what is built, and what is built for {target.name} is not measured "
            "by a build elsewhere. Leave it out; copy the bundle to the card's machine and run "
            "`deployopt verify` there."
        )


def evidence_here(target: Target, machine: Machine) -> Evidence:
    """What is worked out here is worth: an engine's graph is a proxy even where its card is."""
    return Evidence.PROXY if built_apart(target, machine) else evidence_of(target, machine)


def named_source(request: BuildRequest, store: Store) -> SourceModel:
    """The model that the request names; raises as `resolve_model` does."""
    if request.data is not None and not is_path(request.model):
        check_data_name(request.data)  # before a model is fetched in vain
    if request.questions is not None:
        read_choice_lines(located(request.questions))  # likewise
    labels = None if request.labels is None else located(str(request.labels))
    if labels is not None:
        read_captions(labels)  # likewise
    return resolve_model(
        request.model,
        store=store,
        lock=lock_at(request),
        pickles=request.unsafe_load_pickle,
        labels=labels,
    )


def lock_at(request: BuildRequest) -> Lock | None:
    """What the request's lock file pins; None where it names none, or none that is there yet."""
    path = request.lock
    return read_lock(path) if path is not None and path.exists() else None


def split_feeds(source: SourceModel, dataset: Dataset, split: Split) -> list[Feed]:
    """The split's examples one by one as the model takes them, at their real lengths."""
    examples = decode_examples(dataset.splits[split].path)
    return list(feeds(source.interface, source.artifact.folder, examples.inputs, Workload()))


def _sizes(dataset: Dataset) -> Sizes:
    return Sizes(
        calibration=dataset.splits[Split.CALIBRATION].examples,
        search=dataset.splits[Split.SEARCH].examples,
        gate=dataset.splits[Split.GATE].examples,
    )


def _bench(
    request: BuildRequest,
    store: Store,
    source: SourceModel,
    calibration: list[Feed],
    *,
    threads: int,
    lesson: Lesson | None,
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
        lesson=lesson,
    )


def effort_of(request: BuildRequest) -> Effort:
    """As asked; else quick, unless data to learn from or a time limit was given."""
    if request.effort is not None:
        return request.effort
    asked = request.train_data is not None or request.unlabelled is not None
    return Effort.DEFAULT if asked or request.time_limit_s is not None else Effort.QUICK
