"""`plan`: what `build` would try, what is expected of it, and how long it would take.

In: a request. Out: a plan; nothing is built. A model is known by its config and the headers of its
weights, so nothing is downloaded and a request takes a fraction of a second; only a graph, or a
classifier's data that was given, is prepared as `build` does it.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.catalogue.data import KNOWN_SIZES
from deployopt.core.additive import is_convolutional
from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.budget import Budget
from deployopt.core.errors import ExitCode, UsageError
from deployopt.core.interface import Interface, PromptInputs, Task
from deployopt.core.judging.suitable import budgets_of_pairs
from deployopt.core.measurement import Machine
from deployopt.core.plan import Facts, Plan
from deployopt.core.recipe import Recipe
from deployopt.core.request import BuildRequest
from deployopt.core.result import PlanResult
from deployopt.core.tasks import ModelTask
from deployopt.core.watching import SILENT
from deployopt.device.machine import describe_machine, evidence_of
from deployopt.device.setup import threads_here
from deployopt.pipeline.drawing import drawn_request, notes_on
from deployopt.pipeline.forecasting import (
    Asked,
    Way,
    evaluation_size,
    make_plan,
    require_budgets,
    require_fit,
    too_few,
    ways_of,
)
from deployopt.pipeline.language.budgets import language_budgets
from deployopt.pipeline.language.forecasting import language_plan
from deployopt.pipeline.language.options import require_asked_rightly
from deployopt.pipeline.language.recipes import forms_for as forms_of_language
from deployopt.pipeline.language.recipes import only_of
from deployopt.pipeline.language.requests import CONTEXT, requests_for
from deployopt.pipeline.looking import Looked, look_up
from deployopt.pipeline.recipes import arithmetic_for, forms_for, missing_runtimes, recipes_for
from deployopt.pipeline.runtimes import not_built, place_of, with_provider, with_runtime
from deployopt.pipeline.schedules import Site, Sizes, expected_build
from deployopt.planning.architectures.diffusion import MODEL_TYPE as DRAWS
from deployopt.planning.architectures.towers import PAIRED
from deployopt.planning.operations import facts_of
from deployopt.sources.hub_names import PREFIX
from deployopt.sources.naming import GRAPH, check_data_name, is_path
from deployopt.sources.ways_in import way_in
from deployopt.store.experiences import read_experiences
from deployopt.store.faults import storage_errors
from deployopt.store.store import Store

_TOWERS: Final = 2
_NO_DATA: Final = Sizes(calibration=300, search=1000, gate=3000)
_PROMPTS: Final = Sizes(calibration=10, search=15, gate=75)
"""Of a hundred prompts: each takes as long as an image."""
_TOLD: Final = (
    "The length of requests is assumed: {tokens} tokens. Give the evaluation data with --data, or "
    "fix workload.length in the target."
)
_BUILT: Final = (
    "classifiers of text and images, detectors, image-text models, pipelines that draw, and "
    "language models"
)
_DTYPES: Final = {"float16": Precision.FP16, "bfloat16": Precision.BF16}
_PLANNED: Final = (Precision.FP32, Precision.FP16, Precision.INT8)


def run_plan(request: BuildRequest) -> PlanResult:
    """The plan; raises as `build` does, as far as it comes before any work."""
    found = _known(request)
    request = _drawable(request, found)
    if found is not None and found.architecture is not None and _speaks(found):
        if request.data is not None:
            check_data_name(request.data)
        plan = _of_language(request, found, found.architecture)
    elif found is None or request.data is not None:
        plan = _prepared(request)
    else:
        plan = _looked_up(request, found)
    return PlanResult(plan=plan, warnings=plan.warnings, exit_code=ExitCode.ACCEPTED)


def _drawable(request: BuildRequest, found: Looked | None) -> BuildRequest:
    """With the runtime of a model that draws, where it is one that `build` takes."""
    if found is None or not _draws(found):
        return request
    return drawn_request(request, found.name)


def refuse_early(request: BuildRequest) -> None:
    """Refuse what is known to be wrong before gigabytes are fetched.

    Raises:
        UsageError: the runtime is not the target's; a language model's target, budgets or context
            are wrong.
        MissingExtraError: what builds for the target's GPU is not installed.
        CannotFitError: it cannot fit the target; says what would.
    """
    if is_path(request.model) or request.model.startswith(PREFIX):
        return
    found = look_up(request.model)
    if found.architecture is not None and _generates(found):
        _of_language(request, found, found.architecture)
    else:
        with_runtime(request)


def _prepared(request: BuildRequest) -> Plan:
    from deployopt.pipeline.preparing import prepare

    with Store(request.store) as store, storage_errors("planning", store.layout.root):
        return prepare(request, store, SILENT).plan


def _looked_up(request: BuildRequest, found: Looked) -> Plan:
    request = with_provider(request)
    require_budgets(request)
    if found.architecture is None:
        return _prepared(request)
    known = None if found.entry is None else KNOWN_SIZES.get(found.entry.data or "")
    tokens = None if known is None else known.tokens
    facts = facts_of(found.architecture, request.target.workload, tokens)
    require_fit(request.target, found.name, facts)
    machine = describe_machine(runtime=False)
    ways, warnings = _ways(request, found, facts, machine)
    size = None if known is None else evaluation_size(known.gate, request.limits)
    sizes = _PROMPTS if _draws(found) else _NO_DATA
    if known is not None:
        sizes = Sizes(calibration=known.calibration, search=known.search, gate=known.gate)
    if known is None and facts.length is not None and request.target.workload.length == "real":
        warnings = (*warnings, _TOLD.format(tokens=facts.length))
    asked = Asked(
        target=request.target,
        model=found.name,
        budgets=_limits(request, found),
        facts=facts,
        experiences=read_experiences(request.store),
    )
    return make_plan(
        asked,
        ways,
        size,
        build_s=expected_build(facts, ways, Format.TRANSFORMERS, sizes, _site(request, machine))
        if _taken(found)
        else None,
        warnings=(*found.warnings, *warnings, *too_few(size)),
    )


def _limits(request: BuildRequest, found: Looked) -> tuple[Budget, ...]:
    """As the model's accuracy is called."""
    shape = found.architecture
    pairs = shape is not None and _pairs(shape)
    return budgets_of_pairs(request.limits) if pairs else request.limits


def _known(request: BuildRequest) -> Looked | None:
    """None: a graph, or with data a model of which only what builds it can say what is wrong."""
    if request.model.endswith(GRAPH):
        return None
    try:
        return _named(request)
    except UsageError:
        if request.data is None:
            raise
        return None


def _named(request: BuildRequest) -> Looked:
    labels = 0
    if request.labels is not None:
        from deployopt.sources.captions import read_captions

        labels = len(read_captions(request.labels.expanduser()).labels)
    return look_up(request.model, None, lock=request.lock, store=request.store, labels=labels)


def _speaks(found: Looked) -> bool:
    """Whether `build` would take it as a language model."""
    return _generates(found) and (found.entry is None or found.entry.buildable)


def _generates(found: Looked) -> bool:
    """Whether it is a causal language model."""
    shape, entry = found.architecture, found.entry
    if shape is None or len(shape.stacks) != 1 or not shape.stacks[0].causal or shape.labels:
        return False
    return entry is None or entry.tasks[0] is ModelTask.TEXT_GENERATION


def _of_language(request: BuildRequest, found: Looked, shape: Architecture) -> Plan:
    require_asked_rightly(request)
    target = request.target
    inputs = PromptInputs(context=shape.positions or CONTEXT, chat=False)
    interface = Interface(task=Task.TEXT_GENERATION, inputs=inputs, outputs=("logits",))
    budgets, notes = language_budgets(request, interface)
    plan = language_plan(
        target,
        found.name,
        shape,
        only_of(
            forms_of_language(target, arithmetic_for(target, describe_machine(runtime=False))),
            request.precision,
        ),
        budgets,
        requests_for(target.workload, found.name, inputs),
    )
    return msgspec.structs.replace(plan, warnings=(*found.warnings, *notes))


def expected_recipes(request: BuildRequest) -> tuple[Recipe, ...]:
    """What `build` would try of a model that is not fetched; none of one that it does not take.

    Raises:
        DeployoptError: as `run_plan`.
    """
    found = _named(request)
    machine = describe_machine(runtime=False)
    arithmetic = arithmetic_for(request.target, machine)
    if found.architecture is None:
        return ()
    if _speaks(found):
        return tuple(form.recipe for form in forms_of_language(request.target, arithmetic))
    request = with_provider(_drawable(request, found))
    if not _taken(found):
        return ()
    facts = facts_of(found.architecture, request.target.workload, None)
    return _recipes(request, found, facts, machine)


def _recipes(
    request: BuildRequest, found: Looked, facts: Facts, machine: Machine
) -> tuple[Recipe, ...]:
    artifact, target = _as_expected(found), request.target
    forms = forms_for(
        artifact,
        target,
        arithmetic_for(target, machine),
        convolutional=is_convolutional(facts.operations),
        place=place_of(target),
    )
    return recipes_for(artifact, target, forms)


def _as_expected(found: Looked) -> Artifact:
    """The model as it will come."""
    return Artifact(
        format=Format.DIFFUSERS if _draws(found) else Format.TRANSFORMERS,
        folder=Path(),
        entry="config.json",
        digest="",
        precision=_native(found.architecture),
    )


def _ways(
    request: BuildRequest, found: Looked, facts: Facts, machine: Machine
) -> tuple[tuple[Way, ...], tuple[str, ...]]:
    """The recipes of `build`; where it would take none, the precisions, and a sentence on it."""
    artifact = _as_expected(found)
    if _taken(found):
        recipes = _recipes(request, found, facts, machine)
        missing = not_built(request.target)
        warnings = missing_runtimes(request.target)
        if _draws(found):
            warnings = (*warnings, *notes_on(request.target))
        return ways_of(recipes, artifact), warnings if missing is None else (*warnings, missing)
    way = None if found.entry is None else way_in(found.entry)
    if way is None:
        what = "language models of the classes that its builder knows"
        way = f"this version builds {what if _generates(found) else _BUILT} only"
    ways = tuple(Way(name=p.value, reason="memory and speed only", precision=p) for p in _PLANNED)
    return ways, (f"`build` would not start from {found.name}: {way}.",)


def _taken(found: Looked) -> bool:
    """Whether `build` takes it; language models are looked at before."""
    return _draws(found) or _classifies(found)


def _draws(found: Looked) -> bool:
    """Whether it is a pipeline of the kind that `build` takes."""
    shape = found.architecture
    return found.entry is None and shape is not None and shape.model_type == DRAWS


def _classifies(found: Looked) -> bool:
    """Whether it is a classifier, or an image-text model, of the kind that `build` takes."""
    if found.entry is not None:
        return found.entry.buildable and found.entry.tasks[0] is not ModelTask.TEXT_GENERATION
    shape = found.architecture
    return shape is not None and (shape.labels > 0 or _pairs(shape)) and not shape.generates


def _pairs(shape: Architecture) -> bool:
    """Whether it is an image-text model of the kind that `build` takes."""
    return shape.model_type in PAIRED and len(shape.stacks) == _TOWERS


def _native(architecture: Architecture | None) -> Precision:
    return _DTYPES.get((architecture and architecture.dtype) or "", Precision.FP32)


def _site(request: BuildRequest, machine: Machine) -> Site:
    return Site(
        arch=machine.arch,
        cores=threads_here(request.target.runtime.threads),
        evidence=evidence_of(request.target, machine),
    )
