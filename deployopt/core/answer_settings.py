"""Answers at one length of prompt and one batch: what was asked, the raw round, the figures.

Figures are of one fresh process each, for people: they have no bounds, and nothing is judged by
them. Base units: seconds, bytes, tokens a second.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.figure import Figure
from deployopt.core.measurement import Round

_TAIL: Final = 0.95
_LEAST_FOR_TAIL: Final = 20
"""Of fewer values the 95th percentile is the largest, or nearly."""


class AnswerSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prompts of one length, answered `batch` at a time."""

    name: str
    """short, half (of the context) or full."""
    prompt_tokens: int
    answer_tokens: int
    batch: int = 1

    @property
    def words(self) -> str:
        """For a person."""
        together = "" if self.batch == 1 else f", {self.batch} at a time"
        return f"prompts of {self.prompt_tokens:,} tokens{together}"


class SettingTrial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The raw round of a setting; None where it was left out."""

    setting: AnswerSetting
    round: Round | None = None
    left_out: str = ""
    """Why nothing was measured."""


class SettingSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The figures of a setting, beside what was expected of the target."""

    setting: AnswerSetting
    first_token: Figure | None = None
    """The median; of a batch, until every row has its first token."""
    first_token_tail: Figure | None = None
    """The 95th percentile; None of fewer than 20 answers."""
    token_s: Figure | None = None
    """From each token to the next, the median; of a batch a step of all rows."""
    token_tail_s: Figure | None = None
    decode_tps: Figure | None = None
    """Tokens a second after the first, those of all rows together."""
    prefill_tps: Figure | None = None
    memory: Figure | None = None
    """The most that the process had resident."""
    energy_token: Figure | None = None
    """Joules a token of an answer; None where the machine has no counter."""
    alike: float | None = None
    """Of a batch: the share of tokens that a row gets alone too. Below one where products are
    quantized by all that goes in together, so that a text's answer depends on its neighbours."""
    predicted: dict[str, Estimate] = {}
    """`ttft_s`, `prefill_tps`, `decode_tps`, `memory_peak` of the target."""
    note: str = ""
    """Why it was left out, or what disturbed it."""


def setting_summary(
    trial: SettingTrial, evidence: Evidence, predicted: Mapping[str, Estimate]
) -> SettingSummary:
    """The raw round in a few numbers."""
    found, setting = trial.round, trial.setting
    if found is None or found.answers is None:
        return SettingSummary(
            setting=setting, predicted=dict(predicted), note=trial.left_out or "it did not answer"
        )
    answers, batch = found.answers, setting.batch
    spent = sum(answers.answer_tokens) * batch
    return SettingSummary(
        setting=setting,
        first_token=_quantile(answers.first_token_s, 0.5, evidence),
        first_token_tail=_quantile(answers.first_token_s, _TAIL, evidence),
        token_s=_quantile(answers.token_s, 0.5, evidence),
        token_tail_s=_quantile(answers.token_s, _TAIL, evidence),
        decode_tps=_rate(answers.decode_tps, batch, len(answers.token_s), evidence),
        prefill_tps=_rate(answers.prefill_tps, batch, len(answers.first_token_s), evidence),
        memory=None
        if found.memory_bytes is None
        else Figure(value=float(found.memory_bytes), samples=1, evidence=evidence),
        energy_token=None
        if found.energy_j is None or not spent
        else Figure(value=found.energy_j / spent, samples=1, evidence=evidence),
        alike=None if not found.compared else 1.0 - found.mismatched / found.compared,
        predicted=dict(predicted),
        note=found.void or "",
    )


def _quantile(values: Sequence[float], quantile: float, evidence: Evidence) -> Figure | None:
    if not values or (quantile == _TAIL and len(values) < _LEAST_FOR_TAIL):
        return None
    # Whoever only looks at records does not wait for it.
    import numpy as np

    value = float(np.quantile(np.asarray(values), quantile))
    return Figure(value=value, samples=len(values), evidence=evidence)


def _rate(rate: float | None, batch: int, samples: int, evidence: Evidence) -> Figure | None:
    if rate is None:
        return None
    return Figure(value=rate * batch, samples=samples, evidence=evidence)
