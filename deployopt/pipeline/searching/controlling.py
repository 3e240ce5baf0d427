"""Accuracy control: where int8 loses too much, the layers that cost most go back to float.

In: the int8 form of the whole model, asked the search split. Out: layers by their measured
sensitivity, and forms that keep the worst of them in float, asked as well (rank and revert, as NNCF
does it). Whether it is faster than float all the same is measured later, and judged at the gate.
"""

import math
from typing import Final

import msgspec

from deployopt.core.accuracy_loss import accuracy_bounds
from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.budget import limit_of
from deployopt.core.examples import decode_examples
from deployopt.core.measurement import Split
from deployopt.core.metric import Kind
from deployopt.core.recipe import Recipe, Step
from deployopt.core.samples import Feed, decode_samples
from deployopt.core.search import Effort, LayerError
from deployopt.core.watching import Watcher
from deployopt.core.workload import Workload
from deployopt.device.inputs import feeds
from deployopt.pipeline.choosing import shown_faster
from deployopt.pipeline.making import Made
from deployopt.pipeline.preparing import Prepared
from deployopt.pipeline.recipes import Form
from deployopt.pipeline.searching.journal import Ranked
from deployopt.pipeline.searching.merit import allowed_loss
from deployopt.pipeline.searching.run import SearchRun
from deployopt.pipeline.trying import Tried, ask_recipes
from deployopt.steps.quantize import Calibration, QuantizeDynamic, QuantizeStatic
from deployopt.steps.smooth import Smooth
from deployopt.steps.symmetric import QuantizeSymmetric

_REVERTED: Final = (1, 2, 4, 8, 16)
"""So many of the most sensitive layers go back to float, until the loss is small enough."""
_CALIBRATIONS: Final[tuple[Calibration, ...]] = ("minmax", "percentile", "entropy", "mse")
_EXAMPLES: Final = 128
_IMAGES: Final = 64
_RANKING_S: Final = 120.0


class Controlled(msgspec.Struct, frozen=True, kw_only=True):
    """`layers` most sensitive first; `tried` what was done about it, asked the search split."""

    layers: tuple[LayerError, ...] = ()
    tried: tuple[Tried, ...] = ()
    notes: tuple[str, ...] = ()


class _Subject(msgspec.Struct, frozen=True, kw_only=True):
    """An int8 candidate, how it was quantized, and the float graph before that."""

    tried: Tried
    form: Form
    quantize: QuantizeDynamic | QuantizeStatic | QuantizeSymmetric
    source: Artifact

    def with_steps(self, *quantizing: Step) -> tuple[Step, ...]:
        """The form's steps with others in the place of the one that quantizes."""
        at = self.form.steps.index(self.quantize)
        return (*self.form.steps[:at], *quantizing, *self.form.steps[at + 1 :])


def control(
    prepared: Prepared, plain: tuple[Tried, ...], run: SearchRun | None, watcher: Watcher
) -> Controlled:
    """Rank the layers of the int8 form, and send back what costs too much.

    Without a search (`run` None) only where the loss asks for it.
    """
    subject = _subject(prepared, plain)
    if subject is None:
        return Controlled()
    limit = limit_of(prepared.budgets, Kind.ACCURACY)
    costly = (
        limit is not None
        and too_much(prepared, subject.tried, limit)
        and not _replaced(prepared, subject, plain, limit)
    )
    if not costly and (run is None or run.effort is Effort.QUICK):
        return Controlled()
    layers = _ranked(prepared, subject, run, watcher)
    if not costly or limit is None:
        return Controlled(layers=layers)
    other = _otherwise(prepared, subject, watcher)
    if other is not None and not too_much(prepared, other.tried, limit):
        return Controlled(layers=layers, tried=(other.tried,))
    reverted = _revert(prepared, subject, layers, limit, watcher)
    found = () if other is None else (other.tried,)
    return msgspec.structs.replace(reverted, tried=(*found, *reverted.tried))


def _otherwise(prepared: Prepared, subject: _Subject, watcher: Watcher) -> _Subject | None:
    """The least lossy of the other ways to quantize, where one loses less."""
    best, least = None, subject.tried.loss
    for form in _other_forms(subject):
        tried = _asked(prepared, subject, form, watcher)
        if tried.loss is not None and least is not None and tried.loss.estimate < least.estimate:
            best = msgspec.structs.replace(subject, tried=tried, form=form)
            least = tried.loss
    return best


def _other_forms(subject: _Subject) -> tuple[Form, ...]:
    """Activations scaled into the weights of transformers; other calibrators for other nets."""
    quantize = subject.quantize
    smooth = Form(
        name=f"{subject.form.name}, smooth",
        steps=subject.with_steps(Smooth(), quantize),
        reason="int8 with the activations' outliers scaled into the weights",
    )
    # Symmetric pairs take the whole range where values have outliers that carry meaning.
    whole = isinstance(quantize, QuantizeSymmetric) and quantize.calibration == "minmax"
    if whole or isinstance(quantize, QuantizeDynamic):
        return (smooth,)
    return tuple(
        Form(
            name=f"{subject.form.name}, {way}",
            steps=subject.with_steps(msgspec.structs.replace(quantize, calibration=way)),
            reason=f"int8 with ranges by {way}",
        )
        for way in _CALIBRATIONS
        if way != quantize.calibration
    )


def _asked(prepared: Prepared, subject: _Subject, form: Form, watcher: Watcher) -> Tried:
    start = subject.tried.candidate.recipe.steps[: -len(subject.form.steps)]
    recipe = Recipe(name=form.name, steps=(*start, *form.steps), reason=form.reason)
    return ask_recipes(prepared, [recipe], watcher)[0]


def _subject(prepared: Prepared, plain: tuple[Tried, ...]) -> _Subject | None:
    forms = {form.name: form for form in prepared.forms}
    for one in plain:
        made = one.candidate.made
        form = forms.get(one.candidate.recipe.name)
        if made is None or form is None or not form.steps or one.loss is None:
            continue
        found = _quantizing(form, made)
        if found is not None:
            return _Subject(tried=one, form=form, quantize=found[0], source=found[1])
    return None


def _quantizing(
    form: Form, made: Made
) -> tuple[QuantizeDynamic | QuantizeStatic | QuantizeSymmetric, Artifact] | None:
    """The form's step that quantizes layer by layer, and the float graph that it was given."""
    before = made.between[: -len(form.steps)]
    given = (before[-1] if before else None, *made.between[len(before) :])
    for step, source in zip(form.steps, given, strict=False):
        if isinstance(step, QuantizeDynamic | QuantizeStatic | QuantizeSymmetric):
            if source is None or source.format is not Format.ONNX:
                return None
            return step, source
    return None


def too_much(prepared: Prepared, tried: Tried, limit: float) -> bool:
    """Whether a loss like this on the gate's examples would not be certified."""
    trial = tried.candidate.accuracy
    if trial is None:
        return False
    gate = prepared.dataset.splits[Split.GATE].examples
    if trial.over_all is not None:
        bounds = accuracy_bounds(trial)
        # Too few images to bound mAP or recall by say as much by the loss alone.
        reach = bounds.upper - bounds.estimate if math.isfinite(bounds.upper) else limit / 2
        return bounds.estimate + reach * math.sqrt(trial.examples / gate) > limit
    discordance = (trial.lost + trial.gained) / trial.examples
    return (trial.lost - trial.gained) / trial.examples > max(
        0.0, allowed_loss(limit, gate, discordance)
    )


def _replaced(
    prepared: Prepared, subject: _Subject, plain: tuple[Tried, ...], limit: float
) -> bool:
    """Whether float8 holds and int8 is not predicted to be faster: then it need not be mended."""
    return any(
        one.candidate.precision is Precision.FP8
        and one.loss is not None
        and not too_much(prepared, one, limit)
        and not shown_faster(subject.tried.candidate, one.candidate)
        for one in plain
    )


def _ranked(
    prepared: Prepared, subject: _Subject, run: SearchRun | None, watcher: Watcher
) -> tuple[LayerError, ...]:
    from deployopt.steps.sensitivity import Probe, rank_layers

    known = None if run is None else run.journal.ranked(subject.form.name)
    if known is not None:
        return known
    watcher.stage("Layers")
    interface = prepared.source.interface
    samples = prepared.bench.samples
    with prepared.bench.store.stage() as workdir:
        probe = Probe(
            output=interface.outputs[0],
            classifies=interface.classifies,
            workdir=workdir,
            calibration=tuple(decode_samples(samples)) if samples is not None else (),
            threads=prepared.bench.threads,
            progress=watcher.advance,
            deadline_s=_RANKING_S,
        )
        layers = rank_layers(subject.source, subject.quantize, _feeds(prepared), probe).layers
    if run is not None:
        seconds = run.budget.lap_s()
        run.journal.add(Ranked(form=subject.form.name, layers=layers, seconds=seconds))
    return layers


def _feeds(prepared: Prepared) -> list[Feed]:
    """Real inputs of the search split, one by one."""
    examples = decode_examples(prepared.dataset.splits[Split.SEARCH].path).inputs
    most = _EXAMPLES if isinstance(examples[0], str) else _IMAGES
    chosen = list(examples[:: max(1, len(examples) // most)])[:most]
    source = prepared.source
    return list(feeds(source.interface, source.artifact.folder, chosen, Workload()))


def _revert(
    prepared: Prepared,
    subject: _Subject,
    layers: tuple[LayerError, ...],
    limit: float,
    watcher: Watcher,
) -> Controlled:
    """More and more of the worst layers in float, until it is enough or no longer helps."""
    best: tuple[float, Tried, int] | None = None
    for count in (n for n in _REVERTED if n < len(layers)):
        form = _kept(subject, [layer.name for layer in layers[:count]])
        tried = _asked(prepared, subject, form, watcher)
        if tried.loss is None:
            break
        if best is None or tried.loss.estimate < best[0]:
            best = (tried.loss.estimate, tried, count)
        if not too_much(prepared, tried, limit):
            break
    plain_loss = subject.tried.loss
    if best is None or (plain_loss is not None and best[0] >= plain_loss.estimate):
        note = "Layers that went back to float did not mend the accuracy of int8."
        return Controlled(layers=layers, notes=(note,))
    _, tried, count = best
    kept = {layer.name for layer in layers[:count]}
    return Controlled(
        layers=tuple(
            msgspec.structs.replace(layer, kept_float=layer.name in kept) for layer in layers
        ),
        tried=(tried,),
    )


def _kept(subject: _Subject, names: list[str]) -> Form:
    """The form with these layers in float."""
    from deployopt.steps.sensitivity import excluding

    plural = "" if len(names) == 1 else "s"
    return Form(
        name=f"{subject.form.name}, {len(names)} layer{plural} float",
        steps=subject.with_steps(excluding(subject.quantize, names)),
        reason=f"{subject.form.name} with the layers in float that cost most accuracy",
    )
