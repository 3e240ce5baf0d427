"""Of many the one chosen, the first, the front and the fastest are shown, in their order."""

import msgspec

from benchmarks.load_parts import large_build
from deployopt.core.result import CandidateResult
from deployopt.reports.foremost import FEW, foremost
from tests.fakes import results
from tests.fakes.language import language_build, language_candidate


def figures(one: CandidateResult) -> tuple[float, float]:
    assert one.latency is not None
    assert one.accuracy is not None
    assert one.latency.tail.value is not None
    assert one.accuracy.loss.value is not None
    return one.latency.tail.value, one.accuracy.loss.value


def test_few_are_all_shown() -> None:
    assert foremost(results.many(FEW).candidates) == list(range(FEW))
    assert foremost(()) == []


def test_of_many_the_best_in_their_order() -> None:
    candidates = list(large_build(200).candidates)
    slowest = max(range(200), key=lambda place: figures(candidates[place])[0] * (place > 0))
    candidates[1] = msgspec.structs.replace(candidates[1], chosen=False)
    candidates[slowest] = msgspec.structs.replace(candidates[slowest], chosen=True)
    places = foremost(candidates, 20)
    assert len(places) == 20
    assert places == sorted(places)
    assert {0, slowest} <= set(places)
    known = [figures(one) for one in candidates]
    front = {
        place
        for place, (time, loss) in enumerate(known)
        if not any(t <= time and e <= loss and (t, e) != (time, loss) for t, e in known)
    }
    assert front <= set(places)


def test_what_failed_comes_last() -> None:
    failed = [results.failed(f"bad {k}") for k in range(40)]
    places = foremost([*failed, *results.many(12).candidates], 14)
    assert places == [0, 1, *range(40, 52)]


def test_of_a_language_model_likelihood_stands_for_the_loss() -> None:
    float_, int8, int4, _ = language_build().candidates
    plain = msgspec.structs.replace(int8, chosen=False)
    careful = language_candidate("careful", (0.180, 0.040), -0.002)
    # int4 is faster than the careful one, and beaten in both by int8.
    assert foremost((float_, int4, plain, careful), 3) == [0, 2, 3]
