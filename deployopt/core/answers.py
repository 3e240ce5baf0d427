"""How long a language model's answers took, request by request, in one round."""

from itertools import pairwise

import msgspec


class AnswerTimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry an answer, in the order they were given; seconds, and tokens.

    `first_token_s` counts from the prompt's arrival, as token ids, to the first token of the
    answer. `token_s` are the times from each token to the next, all answers one after another:
    `answer_tokens[i] - 1` of them belong to answer `i`.
    """

    prompt_tokens: tuple[int, ...]
    answer_tokens: tuple[int, ...]
    first_token_s: tuple[float, ...]
    token_s: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.prompt_tokens), len(self.answer_tokens), len(self.first_token_s)}
        if len(lengths) > 1 or sum(self.answer_tokens) - len(self.answer_tokens) != len(
            self.token_s
        ):
            raise ValueError("the times of the answers do not fit their numbers of tokens")

    @property
    def decode_tps(self) -> float | None:
        """Tokens a second after the first of each answer; None where there was no second one."""
        spent = sum(self.token_s)
        return len(self.token_s) / spent if spent > 0 else None

    @property
    def prefill_tps(self) -> float | None:
        """Tokens of the prompts a second, up to the first of the answer."""
        spent = sum(self.first_token_s)
        return sum(self.prompt_tokens) / spent if spent > 0 else None

    def of_answers(self) -> list[tuple[float, ...]]:
        """`token_s` answer by answer."""
        ends = [0]
        for count in self.answer_tokens:
            ends.append(ends[-1] + count - 1)
        return [self.token_s[start:end] for start, end in pairwise(ends)]
