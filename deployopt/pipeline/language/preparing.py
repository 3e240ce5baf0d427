"""Everything that is known of a language model's build before any work.

In: a request and its model. Out: documents and prompts as token ids, the forms that may fit, and a
plan. Refuses what could only fail later: a model that cannot fit, a context that it does not have.
"""

import hashlib
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from deployopt.core.architecture import Architecture
from deployopt.core.errors import UsageError
from deployopt.core.evidence import Evidence
from deployopt.core.interface import PromptInputs
from deployopt.core.measurement import Split
from deployopt.core.plan import Plan
from deployopt.core.request import BuildRequest
from deployopt.core.samples import Feed, decode_samples, encode_samples
from deployopt.core.search import Effort
from deployopt.core.source import Dataset, SourceModel
from deployopt.core.watching import Watcher
from deployopt.core.workload import Workload
from deployopt.device.device import Device, ThisMachine
from deployopt.device.machine import matches
from deployopt.device.setup import Answering, threads_here
from deployopt.pipeline.forecasting import evaluation_size, too_few
from deployopt.pipeline.ground import Ground
from deployopt.pipeline.language.budgets import language_budgets
from deployopt.pipeline.language.cards import evidence_for, require_built_apart
from deployopt.pipeline.language.forecasting import language_plan, worth_trying
from deployopt.pipeline.language.forms import Form
from deployopt.pipeline.language.recipes import forms_for, only_of, possible_forms
from deployopt.pipeline.language.requests import Requests, requests_for
from deployopt.pipeline.making import Workbench
from deployopt.pipeline.preparing import lock_at
from deployopt.pipeline.recipes import arithmetic_for
from deployopt.planning.architectures import read_architecture
from deployopt.sources.checks import read_vocabulary
from deployopt.sources.choices import load_choices
from deployopt.sources.documents import (
    GATE_PROMPTS,
    SEARCH_PROMPTS,
    TIMED_PROMPTS,
    load_documents,
    prompts_of,
)
from deployopt.sources.headers import stored_weights
from deployopt.sources.parts import DataOptions
from deployopt.store.experiences import read_experiences
from deployopt.store.keys import cache_key
from deployopt.store.store import Store
from deployopt.store.writing import write_new_file

_PROMPTS_VERSION: Final = 1
_FILE: Final = "prompts.npz"
_IDS: Final = "input_ids"


class PreparedLanguage(Ground, frozen=True, kw_only=True):
    """A language model: what its build starts from."""

    architecture: Architecture
    forms: tuple[Form, ...]
    requests: Requests
    asked: dict[Split, Path]
    """Prompts that the reference answers, split by split, as token ids."""
    timed: Path
    """Prompts that are timed: of the search split, so that the gate's are used once."""

    @property
    def answering(self) -> Answering:
        """How timed requests are answered."""
        return Answering(tokens=self.requests.answer, context=self.requests.context)


def prepare_language(
    request: BuildRequest,
    source: SourceModel,
    store: Store,
    watcher: Watcher,
    device: Device | None,
) -> PreparedLanguage:
    """Find out what is asked and what it would cost.

    Raises:
        UsageError: the target, the data, the budgets or the context are wrong.
        CannotFitError: the model cannot fit the target; says what would.
        SourceError: its data cannot be fetched.
    """
    budgets, notes = language_budgets(request, source.interface)
    target, workload = request.target, request.target.workload
    inputs = source.interface.inputs
    if not isinstance(inputs, PromptInputs):
        raise UsageError(f"{source.name} is no language model.")
    requests = requests_for(workload, source.name, inputs)
    architecture = architecture_of(source)
    require_built_apart(request, device)
    device = device or ThisMachine()
    machine = device.machine
    arithmetic = arithmetic_for(target, machine)
    wide = request.effort not in {None, Effort.QUICK}
    forms = only_of(forms_for(target, arithmetic, wide=wide), request.precision)
    evidence = evidence_for(target, machine)
    experiences = read_experiences(store.layout.root)
    plan = language_plan(target, source.name, architecture, forms, budgets, requests)
    forms, left_out = worth_trying(forms, plan, evidence)
    watcher.stage("Data")
    dataset = load_documents(
        request.data,
        model=source,
        store=store,
        seed=request.seed,
        options=DataOptions(columns=request.columns),
        lock=lock_at(request),
    )
    calibration = dataset.splits.get(Split.CALIBRATION)
    forms, uncalibrated = possible_forms(forms, documents=calibration is not None)
    choices = None
    if request.questions is not None:
        choices = load_choices(
            request.questions, model=source, store=store, seed=request.seed, lock=lock_at(request)
        )
        plan, short = with_questions(plan, choices.splits[Split.GATE].examples)
        notes = (*notes, *short)
    searched = _documents(dataset, Split.SEARCH)
    warnings = (*notes, *left_out, *uncalibrated)
    if evidence is not Evidence.TARGET and not isinstance(device, ThisMachine):
        reason = matches(target, machine)
        warnings = (*warnings, f"{device.where} only stands in for {target.name}: {reason}.")
    return PreparedLanguage(
        request=request,
        source=source,
        dataset=dataset,
        device=device,
        evidence=evidence,
        budgets=budgets,
        recipes=tuple(form.recipe for form in forms),
        reduced_range=arithmetic.reduce_range,
        bench=Workbench(
            store=store,
            interface=source.interface,
            samples=None if calibration is None else calibration.path,
            samples_digest="" if calibration is None else calibration.digest,
            seed=request.seed,
            threads=threads_here(target.runtime.threads),
        ),
        plan=plan,
        experiences=experiences,
        warnings=warnings,
        architecture=architecture,
        forms=forms,
        requests=requests,
        choices=choices,
        asked={
            Split.SEARCH: _kept(
                prompts_of(_documents(dataset, Split.SEARCH), SEARCH_PROMPTS), store
            ),
            Split.GATE: _kept(prompts_of(_documents(dataset, Split.GATE), GATE_PROMPTS), store),
        },
        timed=_kept(timed_prompts(searched, workload), store),
    )


def with_questions(plan: Plan, questions: int) -> tuple[Plan, tuple[str, ...]]:
    """The plan with what so many questions can prove, and a warning where that is too little."""
    size = evaluation_size(questions, plan.budgets)
    if size is None:
        return plan, ("No budget is on accuracy_drop: what the questions show is not judged.",)
    plan = msgspec.structs.replace(
        plan, gate_examples=size.examples, gate_examples_needed=size.needed
    )
    told = (text.replace("--data", "--questions") for text in too_few(size))
    return plan, tuple(told)


def architecture_of(source: SourceModel) -> Architecture:
    """The model's shape, from its config and the headers of its weights."""
    folder = source.artifact.folder
    return read_architecture(read_vocabulary(folder / "config.json"), stored_weights(folder))


def timed_prompts(documents: list[Feed], workload: Workload) -> list[Feed]:
    """At their own length, or exactly as long as the workload says, one text after another."""
    if workload.length == "real":
        return prompts_of(documents, TIMED_PROMPTS)
    length = int(workload.length)
    tokens = np.concatenate([feed[_IDS][0] for feed in documents])
    count = min(TIMED_PROMPTS, max(1, len(documents)))
    starts = [(index * len(tokens)) // count for index in range(count)]
    around = np.concatenate([tokens, np.resize(tokens, length)])
    return [{_IDS: around[start : start + length].reshape(1, -1)} for start in starts]


def _documents(dataset: Dataset, split: Split) -> list[Feed]:
    return list(decode_samples(dataset.splits[split].path))


def _kept(prompts: list[Feed], store: Store) -> Path:
    """As a file of the store."""
    data = encode_samples(prompts)
    key = cache_key({"prompts": _PROMPTS_VERSION, "bytes": hashlib.sha256(data).hexdigest()})
    stored = store.lookup(key)
    if stored is None:
        with store.stage() as folder:
            write_new_file(folder / _FILE, data)
            stored = store.commit(folder, key)
    return stored.folder / _FILE
