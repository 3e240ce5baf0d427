"""Questions of which sentence comes next: one an article, each with one right choice."""

import random

from benchmarks.next_sentence import BEFORE, WRONG, questions_of


def article(name: str) -> str:
    return " ".join(f"Sentence number {n} of the article {name} says something." for n in range(9))


ARTICLES = [article(name) for name in "abcdefghijklmnopqrst"]
SHORT = "One sentence stands here alone. Another one follows it at once."


def drawn(seed: int) -> list[dict[str, object]]:
    lot = random.Random(seed)  # noqa: S311 -- no secret
    return list(questions_of([*ARTICLES, SHORT], lot))


def test_the_right_choice_follows_and_the_others_are_of_other_articles() -> None:
    found = drawn(3)
    assert len(found) == len(ARTICLES)
    for text, question in zip(ARTICLES, found, strict=True):
        before, endings, label = question["ctx"], question["endings"], question["label"]
        assert isinstance(before, str)
        assert isinstance(endings, list)
        assert isinstance(label, int)
        assert f"{before} {endings[label]}" in text
        assert before.count(".") == BEFORE
        assert len(set(endings)) == WRONG + 1
        assert not any(wrong in text for wrong in endings[:label] + endings[label + 1 :])


def test_the_same_seed_gives_the_same_questions() -> None:
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
