"""Long dialogues end with an earlier answer, documents come in pieces, no answer is halved."""

import numpy as np

from deployopt.core.dialogues import Sample
from deployopt.pipeline.language.cutting import cut_to


def sample(marks: str, of: int = 0) -> Sample:
    """A token a character; `x` is learnt."""
    ids = np.arange(len(marks), dtype=np.int32)
    return Sample(ids=ids, learnt=np.array([mark == "x" for mark in marks]), of=of)


def marks(one: Sample) -> str:
    return "".join("x" if learnt else "." for learnt in one.learnt)


def test_a_dialogue_loses_whole_turns() -> None:
    cut = cut_to(9, [sample("...xx...xxx", 4), sample("..xx")], whole=True)
    assert [marks(one) for one in cut.samples] == ["...xx", "..xx"]
    assert cut.samples[0].of == 4
    assert cut.samples[0].ids.tolist() == [0, 1, 2, 3, 4]
    assert list(cut.said("it")) == ["Longer than 9 tokens in it: 1 cut after an earlier answer."]


def test_an_answer_that_ends_at_the_length_stays() -> None:
    assert [marks(one) for one in cut_to(5, [sample("...xx.")], whole=True).samples] == ["...xx"]
    assert cut_to(4, [sample("...xx")], whole=True).samples == ()


def test_what_has_no_answer_within_the_length_is_left_out() -> None:
    cut = cut_to(4, [sample("......xx"), sample("..x")], whole=True)
    assert [marks(one) for one in cut.samples] == ["..x"]
    assert list(cut.said("it")) == ["Longer than 4 tokens in it: 1 left out."]


def test_a_document_is_cut_into_pieces_that_hold_all_of_it() -> None:
    document = sample("." + "x" * 44, 2)
    cut = cut_to(20, [document], whole=False)
    assert [len(one.ids) for one in cut.samples] == [20, 20]  # the last five tokens are too few
    assert not any(one.learnt[0] for one in cut.samples)
    assert {one.of for one in cut.samples} == {2}
    whole = np.concatenate([one.ids for one in cut_to(18, [document], whole=False).samples])
    assert whole.tolist() == document.ids.tolist()


def test_nothing_is_said_where_nothing_was_too_long() -> None:
    assert list(cut_to(9, [sample("..xx")], whole=True).said("it")) == []
