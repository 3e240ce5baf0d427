"""A verdict for a pull request: GitHub Markdown, the verdict first, the details folded.

In: a result record. Out: text in which nothing that came from a model or a file is markup, a link
or a mention.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from deployopt.core.evidence import Estimate
from deployopt.core.figure import Figure
from deployopt.core.result import BuildResult, CandidateResult, VerifyResult
from deployopt.core.search import SearchResult
from deployopt.core.text import safe_record
from deployopt.core.units import Dimension
from deployopt.core.verdict import Verdict
from deployopt.reports.batches import batches_lines
from deployopt.reports.cards import cards_markdown, watched_words
from deployopt.reports.cells import faster_words, first_token_head, generates
from deployopt.reports.comparison_markdown import baseline_lines
from deployopt.reports.copies import copies_notes
from deployopt.reports.engines import engines_markdown
from deployopt.reports.foremost import foremost
from deployopt.reports.foreseen import foreseen
from deployopt.reports.markdown_text import ICONS, escape, table
from deployopt.reports.questioning import questions_words
from deployopt.reports.search_words import effort_words, search_facts
from deployopt.reports.settings import settings_lines
from deployopt.reports.signing import authenticity_words
from deployopt.reports.words import (
    NOTHING,
    at_words,
    check_notes,
    check_word,
    dimension_of,
    evidence_words,
    loss_words,
    metric_words,
    plural,
    sentences,
    show,
    show_bounds,
    show_figure,
    show_interval,
    show_limit,
    show_ratio,
    steps_words,
    tail_word,
    verdict_words,
    where_words,
)


def build_markdown(result: BuildResult) -> str:
    """A build as a comment or a step summary."""
    result = safe_record(result)
    lines = [_title(result.verdict, result.model, result.target), ""]
    if result.verdict is not None:
        expected = result.chosen.predicted if result.chosen else {}
        lines += [*_checks(result.verdict, expected), ""]
    else:
        lines += [f"Nothing was judged. {escape(result.plan.fit_reason)}", ""]
    if result.baseline is not None:
        lines += ["#### Against the baseline", "", *baseline_lines(result.baseline), ""]
    if result.candidates:
        lines += [*_candidates(result.candidates), *engines_markdown(result.candidates)]
        lines += [*cards_markdown(result.candidates), ""]
    if result.settings:
        lines += [*settings_lines(result.settings), ""]
    if result.search is not None:
        lines += [*_search(result.search), ""]
    if result.install is not None:
        lines += ["What the device needs first:", "", *_code(result.install), ""]
    if result.settle is not None:
        words = "To settle on the device what is only predicted here:"
        lines += [words, "", *_code(result.settle), ""]
    return "\n".join([*lines, *_details(result)]) + "\n"


def verify_markdown(result: VerifyResult) -> str:
    """A verification as a comment or a step summary."""
    result = safe_record(result)
    place = "on the target" if result.on_target else "not on the target"
    watched = watched_words(result.latency)
    told = f"{at_words(result.machine, result.device)}{f'; card: {watched}' if watched else ''}"
    machine = f"Measured {place}: {escape(told)}."
    title = _title(result.verdict, result.name, result.target)
    warnings = [f"- {escape(w)}" for w in result.warnings]
    checks = _checks(result.verdict, result.predicted)
    signature = f"Signature: {escape(authenticity_words(result.authenticity))}."
    more = [*batches_lines(result.batches), *(f"- {escape(note)}" for note in copies_notes(result))]
    parts = [title, "", *checks, "", *more, "", machine, "", signature, ""]
    return "\n".join([*parts, *warnings]) + "\n"


def verdict_markdown(verdict: Verdict, name: str) -> list[str]:
    """The title and the table of one verdict, for what is judged beside other things."""
    return [_title(verdict, name, verdict.target), "", *_checks(verdict, {})]


def _title(verdict: Verdict | None, model: str, target: str) -> str:
    name = f"{escape(model)} on {escape(target)}"
    if verdict is None:
        return f"### ❌ {name}: not built"
    return (
        f"### {ICONS[verdict.word]} {name}: {verdict.word}\n\nIn short: {verdict_words(verdict)}."
    )


def _checks(verdict: Verdict, predicted: Mapping[str, Estimate]) -> list[str]:
    rows = []
    for check in verdict.checks:
        dimension = dimension_of(check.metric)
        word = check_word(check)
        rows.append(
            [
                escape(metric_words(check.metric)),
                show_limit(check.limit, dimension),
                show(check.observed, dimension),
                show_bounds(check.lower, check.upper, dimension) or NOTHING,
                evidence_words(check.evidence),
                f"{ICONS[word]} {word}",
            ]
        )
    head = ("budget", "limit", "observed", "bounds", "evidence", "outcome")
    notes = [f"- {escape(names)}: {escape(text)}" for names, text in check_notes(verdict)]
    notes += [f"- {escape(reason)}" for reason in verdict.reasons]
    notes += [f"- {escape(name)}: {escape(words)}" for name, words in foreseen(predicted, verdict)]
    return [*table(head, rows), *([""] if notes else []), *notes]


def _candidates(candidates: Sequence[CandidateResult]) -> list[str]:
    if generates(candidates):
        head, rows = _language_rows(candidates)
    else:
        head, rows = _rows(candidates)
    left = len(candidates) - len(rows)
    more = ["", f"And {plural(left, 'candidate')} more, slower or beaten."] if left else []
    return [*table(head, rows), *more]


def _language_rows(
    candidates: Sequence[CandidateResult],
) -> tuple[tuple[str, ...], list[list[str]]]:
    tail = next((c.generation.quantile for c in candidates if c.generation), None)
    asked = any(c.accuracy is not None for c in candidates)
    head = (
        *("candidate", "NLL increase", "agreement", *(["accuracy lost"] if asked else [])),
        first_token_head(tail),
        *("tokens a second", "against float", "memory", "size"),
    )
    rows = []
    for item in _foremost(candidates):
        if item.failure is not None:
            rows.append([f"{escape(item.recipe)} (failed)", *([NOTHING] * (len(head) - 1))])
            continue
        scores, found = item.scores, item.generation
        rows.append(
            [
                _name(item),
                _with_bounds(scores.increase if scores else None, Dimension.PERCENT),
                _with_bounds(scores.agreement if scores else None, Dimension.PERCENT),
                *([_with_bounds(_loss(item), Dimension.SHARE)] if asked else []),
                _with_bounds(found.first_token_tail if found else None, Dimension.TIME),
                _with_bounds(found.decode_tps if found else None, Dimension.TOKEN_RATE),
                "".join(faster_words(item)).removesuffix(" float") or NOTHING,
                _with_bounds(item.memory, Dimension.SIZE),
                _with_bounds(item.size, Dimension.SIZE),
            ]
        )
    return head, rows


def _loss(item: CandidateResult) -> Figure | None:
    """By questions with choices."""
    return None if item.accuracy is None else item.accuracy.loss


def _name(item: CandidateResult) -> str:
    return f"**{escape(item.recipe)}** (chosen)" if item.chosen else escape(item.recipe)


def _rows(candidates: Sequence[CandidateResult]) -> tuple[tuple[str, ...], list[list[str]]]:
    loss = next((loss_words(c.accuracy) for c in candidates if c.accuracy), "accuracy lost")
    tail = next((tail_word(c.latency) for c in candidates if c.latency), "")
    head = ("candidate", loss, f"latency {tail}".strip(), "against float", "memory", "size")
    rows = []
    for item in _foremost(candidates):
        if item.failure is not None:
            rows.append([f"{escape(item.recipe)} (failed)", *([NOTHING] * 5)])
            continue
        latency = item.latency
        rows.append(
            [
                _name(item),
                _with_bounds(item.accuracy.loss if item.accuracy else None, Dimension.SHARE),
                _with_bounds(latency.tail if latency else None, Dimension.TIME),
                show_ratio(latency.ratio if latency else None),
                _with_bounds(item.memory, Dimension.SIZE),
                _with_bounds(item.size, Dimension.SIZE),
            ]
        )
    return head, rows


def _foremost(candidates: Sequence[CandidateResult]) -> list[CandidateResult]:
    return [candidates[place] for place in foremost(candidates)]


def _search(search: SearchResult) -> Iterator[str]:
    """What was tried and why one won, in a line; what to relax where none did."""
    counts = [
        f"{plural(len(found), noun)} {done}"
        for found, noun, done in (
            (search.shapes, "shape", "timed"),
            (search.trainings, "training", "judged"),
            (search.layers, "layer", "ranked"),
        )
        if found
    ]
    tried = sentences(", ".join(counts))
    told = (f"Search ({escape(effort_words(search))}).", tried, escape(sentences(search.why)))
    yield " ".join(part for part in told if part)
    if search.nearest_miss is not None:
        yield ""
        yield f"Nothing is inside every budget. {escape(sentences(search.nearest_miss))}"
    if search.relax:
        yield ""
        yield from (f"- To relax: {escape(text)}" for text in search.relax)


def _with_bounds(figure: Figure | None, dimension: Dimension) -> str:
    if figure is None or figure.value is None:
        return NOTHING
    interval = show_interval(figure, dimension)
    bounds = f" ({interval})" if interval else ""
    value = show_figure(figure, dimension)
    return f"{value}{bounds}<br><sub>{evidence_words(figure.evidence)}</sub>"


def _details(result: BuildResult) -> Iterator[str]:
    yield "<details><summary>Details</summary>"
    yield ""
    for item in _foremost(result.candidates):
        told = item.failure if item.failure is not None else item.why
        steps = f" ({', '.join(steps_words(item.steps))})" if item.steps else ""
        yield f"- {escape(item.recipe)}: {escape(f'{sentences(item.reason, told)}{steps}')}"
    if result.search is not None:
        found = search_facts(result, result.search)
        yield from (f"- {name}: {escape(text)}" for name, text in found)
        yield from (f"- Note: {escape(note)}" for note in result.search.notes)
        if result.search.log:
            yield f"- Log: {escape(result.search.log)}"
    if result.data is not None:
        sizes = ", ".join(f"{n} {name}" for name, n in result.data.splits.items())
        yield f"- Data: {escape(f'{result.data.name}: {sizes}')}"
    yield from (f"- Questions: {escape(told)}" for told in questions_words(result))
    yield f"- {where_words(result.device)}: {escape(at_words(result.machine, result.device))}"
    if result.bundle is not None:
        digest = f", digest {result.bundle_digest}" if result.bundle_digest else ""
        yield f"- Bundle: {escape(result.bundle + digest)}"
    yield from (f"- Warning: {escape(w)}" for w in result.warnings)
    yield ""
    yield "</details>"


def _code(text: str) -> list[str]:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return [f"{fence}sh", text, fence]
