"""What the counted rounds of a language model's trial say of its answers, round by round."""

import math
from statistics import median

from deployopt.core.measurement import Trial


def first_tokens(trial: Trial) -> list[tuple[float, ...]]:
    """Seconds to the first token of every answer; a round that timed none is empty."""
    return [() if one.answers is None else one.answers.first_token_s for one in trial.counted]


def decode_rates(trial: Trial) -> list[float]:
    """Tokens a second after the first, of every round that has a second token."""
    found = (None if one.answers is None else one.answers.decode_tps for one in trial.counted)
    return [rate for rate in found if rate is not None]


def prefill_rates(trial: Trial) -> list[float]:
    """Tokens of the prompts a second, up to the first of the answers."""
    found = (None if one.answers is None else one.answers.prefill_tps for one in trial.counted)
    return [rate for rate in found if rate is not None]


def joules_a_token(trial: Trial) -> list[float]:
    """Of an answer's token, the prompt's share in it, in every round whose energy was counted."""
    return [
        one.energy_j / sum(one.answers.answer_tokens)
        for one in trial.counted
        if one.energy_j is not None and one.answers is not None and one.answers.answer_tokens
    ]


def answered(trial: Trial) -> bool:
    """Whether it is of a language model."""
    return any(one.answers is not None for one in trial.rounds)


def decode_logs(trial: Trial, base: Trial) -> list[float]:
    """ln(time a token / the base's), one number a round that counts for both."""
    pairs = (
        (one.answers.decode_tps, other.answers.decode_tps)
        for one, other in zip(trial.rounds, base.rounds, strict=False)
        if one.void is None and other.void is None and one.answers and other.answers
    )
    return [math.log(other / one) for one, other in pairs if one and other]


def first_token_logs(trial: Trial, base: Trial) -> list[float]:
    """ln(median time to the first token / the base's), one number a round that counts for both."""
    return [
        math.log(median(one.answers.first_token_s) / median(other.answers.first_token_s))
        for one, other in zip(trial.rounds, base.rounds, strict=False)
        if one.void is None
        and other.void is None
        and one.answers is not None
        and other.answers is not None
        and one.answers.first_token_s
        and other.answers.first_token_s
    ]
