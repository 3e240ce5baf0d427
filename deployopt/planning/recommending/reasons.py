"""Why this model, in sentences that each carry a number.

In: a candidate, what is wanted, how it would be trained. Out: reasons, and for an alternative what
it gives and costs against the first choice.
"""

from collections.abc import Iterator

from deployopt.core.artifact import Precision
from deployopt.core.recommendation import Reason
from deployopt.core.standing import Standing
from deployopt.core.units import Dimension, show_quantity
from deployopt.planning.recommending.candidate import Candidate, Footing
from deployopt.planning.recommending.limits import memory_limit
from deployopt.planning.recommending.precisions import GAIN_MIN, gain_of
from deployopt.planning.recommending.quality import written
from deployopt.planning.recommending.ranking import TIER_FROM, too_few
from deployopt.planning.recommending.setting import MARGINS, Setting, on_gpu, setting_of
from deployopt.planning.recommending.training import ADAPTED
from deployopt.planning.recommending.wants import Wants
from deployopt.planning.recommending.words import (
    band,
    count,
    standing_words,
    tier,
    times,
    two_digits,
    with_band,
)
from deployopt.planning.usable import usable_bytes


def reasons_for(candidate: Candidate, at: Footing, wants: Wants) -> Iterator[Reason]:
    """In the order in which they decided."""
    yield Reason(about="memory", text=_memory(at, wants))
    yield from _time(at, wants)
    yield Reason(about="quality", text=_quality(candidate, wants))
    yield from _data(candidate, wants)
    yield from _precision(candidate, at, wants)
    if at.batch > 1:
        yield Reason(about="batch", text=_batch(at, wants))
    yield Reason(about="licence", text=_licence(candidate))


def _memory(at: Footing, wants: Wants) -> str:
    limit = show_quantity(memory_limit(wants, usable_bytes(wants.target)), Dimension.SIZE)
    shared = f" on each of {at.devices} GPUs" if at.devices > 1 else ""
    batch = f" at batch {at.batch}" if at.batch > 1 else ""
    tokens = f", {wants.context} tokens kept" if wants.usual.answer and wants.context else ""
    return (
        f"{at.precision} needs {band(at.memory.total, Dimension.SIZE)} of {limit} "
        f"usable{shared}{batch}{tokens}: {standing_words(at.standing)}"
    )


def _time(at: Footing, wants: Wants) -> Iterator[Reason]:
    found = at.predicted.get("latency_s")
    if found is None:
        yield Reason(
            about="latency",
            text=f"not predicted: the profile of {wants.target.name} gives no peak of "
            f"{at.precision}",
        )
        return
    text = f"{with_band(found, Dimension.TIME)} {wants.usual.a_unit}"
    if wants.length and not wants.usual.answer:
        text += f" of {wants.length} tokens"
    if wants.time is not None:
        judged = at.predicted.get(wants.time.metric, found)
        limit = show_quantity(wants.time.seconds, Dimension.TIME)
        if judged is not found:
            text += f", {wants.time.metric} {band(judged, Dimension.TIME)}"
        text += f"; {limit} {wants.time.words}: {_judged(at)}"
    yield Reason(about="latency", text=f"{text}; {tier(found)}")
    yield from _tokens(at, wants)


def _tokens(at: Footing, wants: Wants) -> Iterator[Reason]:
    pace, first = at.predicted.get("decode_tps"), at.predicted.get("ttft_s")
    if pace is None or first is None:
        return
    text = f"{two_digits(pace.lower)} to {two_digits(pace.upper)} tokens/s"
    if wants.pace_tps is not None:
        text += f"; a person reads {wants.pace_tps:g}: {_judged(at)}"
    text += f"; the first after {band(first, Dimension.TIME)} ({wants.length} tokens of prompt)"
    yield Reason(about="tokens", text=text)


def _judged(at: Footing) -> str:
    return standing_words(at.within or Standing.UNSETTLED)


def _quality(candidate: Candidate, wants: Wants) -> str:
    found = candidate.quality or candidate.entry.quality_of(wants.task)
    if found is None:
        return "no published figure that is comparable; measure it on your own data"
    text = f"{written(found)} ({found.source})"
    margin = MARGINS[setting_of(wants.target)]
    if margin:
        setting = setting_of(wants.target)
        text += f"; within {margin:g} points the faster model is preferred on {_a(setting)} target"
    return text


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _data(candidate: Candidate, wants: Wants) -> Iterator[Reason]:
    least = candidate.entry.least_examples
    if wants.examples is None:
        yield Reason(about="data", text="no examples: the model is used as it comes, 0 trained")
        return
    if setting_of(wants.target) is Setting.DESKTOP and wants.task not in ADAPTED:
        steps = ", ".join(f"{tier} from {count(n)}" for n, tier in reversed(TIER_FROM))
        yield Reason(
            about="tier", text=f"by {count(wants.examples)} examples on a desktop: {steps}"
        )
    if too_few(candidate, wants.examples):
        yield Reason(
            about="data",
            text=f"{count(wants.examples)} examples are fewer than the {count(least)} from which "
            f"fine-tuning {candidate.entry.alias} makes sense",
        )
    else:
        yield Reason(
            about="data",
            text=f"{count(wants.examples)} examples; fine-tuning it makes sense from "
            f"{count(least)}",
        )


def _precision(candidate: Candidate, at: Footing, wants: Wants) -> Iterator[Reason]:
    full = candidate.footings[0]
    gain = gain_of(at, candidate.footings)
    quick = next((f for f in candidate.footings if f.precision is Precision.INT8), None)
    if at.precision is full.precision:
        yield Reason(about="precision", text=_kept(candidate, at, wants, quick))
        return
    why = []
    if full.standing is Standing.OUTSIDE:
        why.append(
            f"{full.precision} would need {band(full.memory.total, Dimension.SIZE)}, which does "
            "not fit"
        )
    elif full.standing is Standing.UNSETTLED and at.standing is Standing.INSIDE:
        why.append(f"{full.precision} ({band(full.memory.total, Dimension.SIZE)}) may not fit")
    elif at.within is not full.within and full.within is not None:
        sure = "is not" if full.within is Standing.OUTSIDE else "may not be"
        why.append(f"{full.precision} {sure} in time")
    if gain is not None:
        why.append(f"predicted {times(gain)} as fast as {full.precision}")
    why.append("its loss of accuracy has to be measured")
    yield Reason(about="precision", text=f"{at.precision}: {'; '.join(why)}")


def _kept(candidate: Candidate, at: Footing, wants: Wants, quick: Footing | None) -> str:
    gain = gain_of(quick, candidate.footings) if quick and quick is not at else None
    if gain is None:
        missing = " (the profile gives no int8 rate)" if quick is not at else ""
        return f"{at.precision} fits, and nothing lower is known to gain{missing}"
    if on_gpu(wants.target) and gain >= GAIN_MIN:
        return (
            f"{at.precision} fits and loses nothing to speak of; int8 is predicted {times(gain)} "
            "as fast, at a loss of accuracy that has to be measured"
        )
    return f"{at.precision}: int8 is predicted {times(gain)} as fast, too little for its loss"


def _batch(at: Footing, wants: Wants) -> str:
    pace = at.predicted.get("throughput_per_s")
    whole = at.predicted.get("batch_latency_s")
    text = f"{at.batch} at once"
    if pace is not None:
        text += f" give {two_digits(pace.lower)} to {two_digits(pace.upper)} {wants.usual.unit}s/s"
    if whole is not None:
        text += f", {band(whole, Dimension.TIME)} a batch"
    return text


def _licence(candidate: Candidate) -> str:
    entry = candidate.entry
    allowed = {True: "commercial use allowed", False: "not for every commercial use"}
    known = allowed[entry.commercial] if entry.commercial is not None else "ask before you use it"
    return f"{entry.licence}: {known}"
