"""One HTML page that stands alone: verdict, budgets, candidates, drawings, lineage, environment.

In: a build, its lineage, and what was verified since. Out: a page without scripts or anything
fetched; its policy forbids both. Refuses (MissingExtraError) where jinja2 is not installed.
"""

import functools
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec

from deployopt.core.bundle import Lineage
from deployopt.core.errors import MissingExtraError
from deployopt.core.evidence import Evidence
from deployopt.core.metric import METRICS, Kind
from deployopt.core.result import BuildResult, CandidateResult, VerifyResult
from deployopt.core.text import safe_record, safe_text
from deployopt.core.units import Dimension
from deployopt.core.verdict import Verdict
from deployopt.reports import comparison_words, search_words, words
from deployopt.reports.bars import draw_bars
from deployopt.reports.batches import (
    batches_heads,
    batches_notes,
    batches_rows,
    batches_title,
)
from deployopt.reports.cards import CARDS_TITLE, card_lines, card_words, watched_words
from deployopt.reports.cells import faster_words, first_token_head, generates
from deployopt.reports.copies import COPIES_TITLE, copies_notes
from deployopt.reports.engines import TITLE, builder_words, engine_lines
from deployopt.reports.foremost import foremost
from deployopt.reports.foreseen import foreseen
from deployopt.reports.pareto import draw_pareto
from deployopt.reports.questioning import questions_words
from deployopt.reports.search_plot import draw_search
from deployopt.reports.sensitivity import draw_sensitivity
from deployopt.reports.settings import HEADS, settings_notes, settings_rows, settings_title
from deployopt.reports.signing import authenticity_words
from deployopt.reports.spread import Arms, draw_distribution, draw_rounds
from deployopt.reports.svg import SERIES, drawing, group, mark
from deployopt.reports.tradeoff import (
    Tradeoff,
    limits_of,
    measured_at_home,
    measured_points,
    predicted_points,
    tradeoff_of,
)
from deployopt.reports.verified import verify_figures

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATE: Final = "page.html.j2"
MOST: Final = 1000
"""Rows of one kind that a page holds; more would keep a browser busy and be read by nobody."""
_ARMS: Final = 12
"""Candidates whose rounds are drawn over one another."""
_PAGE: Final = 100


class _Rows(msgspec.Struct, frozen=True, kw_only=True):
    """Candidates by their places, under a heading that unfolds them; none: shown at once."""

    heading: str
    places: tuple[int, ...]


class _Drawings(msgspec.Struct, frozen=True, kw_only=True):
    """SVG, each empty where there is nothing to draw."""

    bars: str
    on_target: str
    on_target_evidence: str
    here: str
    rounds: str
    distribution: str
    search: str
    sensitivity: str
    arms: int
    """Candidates whose rounds are drawn."""
    keys: tuple[str, ...]


def build_page(
    result: BuildResult,
    lineage: Lineage | None = None,
    verifications: Sequence[VerifyResult] = (),
    *,
    made_with: str = "deployopt",
) -> bytes:
    """The page in UTF-8; `made_with` as the manifest has it, with the version.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    page = _environment().get_template(_TEMPLATE)
    result, left_out = _bounded(result)
    result = safe_record(result)
    text = page.render(
        r=result,
        left_out=left_out,
        rows=_rows(result.candidates),
        lineage=safe_record(lineage),
        verifications=[(v, _bars(v.verdict)) for v in safe_record(tuple(verifications))],
        drawings=_draw(result),
        made_with=safe_text(made_with),
    )
    return text.encode("utf-8")


def _bounded(result: BuildResult) -> tuple[BuildResult, str]:
    """At most MOST of everything, and what was left out."""
    left = {"candidate": len(result.candidates) - MOST}
    kept = tuple(result.candidates[place] for place in foremost(result.candidates, MOST))
    search = result.search
    if search is not None:
        left |= {
            "training": len(search.trainings) - MOST,
            "shape": len(search.shapes) - MOST,
            "layer": len(search.layers) - MOST,
        }
        search = msgspec.structs.replace(
            search,
            trainings=search.trainings[-MOST:],
            shapes=tuple(search_words.shapes_in_order(search.shapes)[:MOST]),
            layers=search.layers[:MOST],
        )
    gone = ", ".join(words.plural(number, name) for name, number in left.items() if number > 0)
    return msgspec.structs.replace(result, candidates=kept, search=search), gone


def _rows(candidates: Sequence[CandidateResult]) -> tuple[_Rows, ...]:
    """The foremost at once, the others folded, a hundred under each heading."""
    first = foremost(candidates)
    seen = set(first)
    others = [place for place in range(len(candidates)) if place not in seen]
    pages = [others[start : start + _PAGE] for start in range(0, len(others), _PAGE)]
    headings = [
        f"{'The others' if len(pages) == 1 else f'Others, part {number} of {len(pages)}'}: "
        f"{words.plural(len(page), 'candidate')}"
        for number, page in enumerate(pages, start=1)
    ]
    folded = zip(headings, pages, strict=True)
    return (
        _Rows(heading="", places=tuple(first)),
        *(_Rows(heading=heading, places=tuple(page)) for heading, page in folded),
    )


def _environment() -> "Environment":
    try:
        import jinja2  # noqa: F401 -- whether it is there
    except ImportError as error:
        raise MissingExtraError("The HTML report", "build") from error
    return _made()


@functools.cache
def _made() -> "Environment":
    """Made once: most of a page's time is the template's compilation."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_template),
    )
    environment.filters["lost"] = words.loss_words
    environment.globals.update(
        w=words,
        cw=comparison_words,
        sw=search_words,
        authenticity=authenticity_words,
        foreseen=foreseen,
        share=Dimension.SHARE,
        time=Dimension.TIME,
        size=Dimension.SIZE,
        percent=Dimension.PERCENT,
        token_rate=Dimension.TOKEN_RATE,
        faster=faster_words,
        generates=generates,
        told_questions=questions_words,
        first_token_head=first_token_head,
        engines_title=TITLE,
        engine_lines=engine_lines,
        builder_words=builder_words,
        cards_title=CARDS_TITLE,
        card_lines=card_lines,
        card_words=card_words,
        watched=watched_words,
        figures_of=verify_figures,
        batches_heads=batches_heads,
        batches_notes=batches_notes,
        batches_rows=batches_rows,
        batches_title=batches_title,
        copies_notes=copies_notes,
        copies_title=COPIES_TITLE,
        settings_heads=HEADS,
        settings_rows=settings_rows,
        settings_title=settings_title,
        settings_notes=settings_notes,
    )
    return environment


def _template(name: str) -> str:
    return files("deployopt.reports").joinpath(name).read_text(encoding="utf-8")


def _draw(result: BuildResult) -> _Drawings:
    measured: Arms = [
        (k, c.latency) for k, c in enumerate(result.candidates) if c.latency is not None
    ]
    near = set(foremost(result.candidates, _ARMS))
    few = [(place, arm) for place, arm in measured if place in near]
    limit = next((b.limit for b in result.budgets if _is_latency(b.metric)), None)
    way = tradeoff_of(result)
    at_home = any(arm.tail.evidence is Evidence.TARGET for _, arm in measured)
    if way is not None:
        at_home = measured_at_home(result, way)
    evidence = Evidence.TARGET if at_home else Evidence.PREDICTED
    return _Drawings(
        bars=_bars(result.verdict),
        on_target=_plot(result, way, evidence),
        on_target_evidence=words.evidence_words(evidence),
        here="" if at_home else _plot(result, way, Evidence.PROXY),
        rounds=_svg(draw_rounds(few)),
        distribution=_svg(draw_distribution(few, limit if at_home else None)),
        search=_svg(draw_search(result, limit if at_home else None)),
        sensitivity=_svg(draw_sensitivity(result.search.layers if result.search else ())),
        arms=len(few),
        keys=tuple(_key(k) for k in range(len(result.candidates))),
    )


def _plot(result: BuildResult, way: Tradeoff | None, evidence: Evidence) -> str:
    """Time against loss; only figures of the target have its budget on time beside them."""
    if way is None:
        return ""
    predicted = evidence is Evidence.PREDICTED
    points = (predicted_points if predicted else measured_points)(result, way)
    if not points:
        return ""
    time, loss = limits_of(result, way)
    limits = (None if evidence is Evidence.PROXY else time, loss)
    return _svg(draw_pareto(points, way.titles, limits, way.units))


def _is_latency(metric: str) -> bool:
    return metric in METRICS and METRICS[metric].kind is Kind.LATENCY


def _bars(verdict: Verdict | None) -> str:
    return "" if verdict is None else _svg(draw_bars(verdict))


def _key(series: int) -> str:
    """The mark of a candidate, for its row."""
    return _svg(drawing(16, 16, "", group(series % (3 * SERIES), mark(8, 8, series))))


def _svg(text: str) -> str:
    """SVG that was drawn here, every text in it escaped already."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 -- see above
