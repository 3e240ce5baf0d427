"""Predictions until cells have ended, then their mean; nothing where there is nothing to go by."""

from deployopt.reports.time_left import Left, TimeLeft, duration_words, left_words


def test_predictions_are_shared_by_those_that_run() -> None:
    left = TimeLeft()
    assert left.at(0.0) is None
    left.planned(100.0, [60.0, 30.0, None])
    assert left.at(100.0) == Left(135.0, "as predicted")  # the third is taken for a mean one
    left.began()
    left.began()
    assert left.at(110.0) == Left(57.5, "as predicted")
    # It took longer than was predicted: from then on nobody knows, until the first has ended.
    assert left.at(500.0) is None
    left.ended()
    assert left.at(500.0) == Left(800.0, "by the mean of 1")


def test_cells_that_ended_go_before_predictions() -> None:
    left = TimeLeft()
    left.planned(0.0, [60.0] * 5)
    left.began()
    left.ended()
    assert left.at(10.0) == Left(290.0, "as predicted")
    left.ended()
    assert left.at(20.0) == Left(30.0, "by the mean of 2")
    for _ in range(3):
        left.ended()
    assert left.at(30.0) is None


def test_without_predictions_the_first_cell_tells() -> None:
    left = TimeLeft()
    left.planned(0.0, [None, None])
    assert left.at(5.0) is None
    left.ended()
    assert left.at(8.0) == Left(8.0, "by the mean of 1")


def test_words() -> None:
    assert left_words(None) == ""
    assert left_words(Left(720.0, "as predicted")) == "12 min left, as predicted"
    told = [duration_words(s) for s in (0.4, 59.0, 61.0, 3599.0, 12_000.0, 90_000.0)]
    assert told == ["0 s", "59 s", "1 min", "1 h", "3 h 20 min", "25 h"]
