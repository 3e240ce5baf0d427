"""The parts of deployopt that meet many candidates, each made ready and then run once.

In: candidates of each target, targets, an empty folder. Out: what is to be timed. Every candidate
has a model of one kibibyte, so that it is their number that costs, and not their size.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.figure import Figure
from deployopt.core.result import BuildResult, CandidateResult
from deployopt.core.search import TimedShape
from deployopt.pipeline.candidates import candidate_result
from deployopt.pipeline.choosing import choose
from deployopt.reports.ci_summary import build_summary
from deployopt.reports.html import build_page
from deployopt.reports.junit import summary_junit
from deployopt.reports.markdown import build_markdown
from deployopt.reports.terminal import print_build
from deployopt.store.keys import cache_key
from deployopt.store.store import Store
from deployopt.store.writing import write_new_file
from tests.fakes import results, search
from tests.fakes.candidates import candidate

_MODEL: Final = b"x" * 1024
_MEASURED: Final = encode_json(results.accuracy(9, 6))

Work = Callable[[], object]
Part = Callable[[int, int, Path], Work]


def store_fill(size: int, targets: int, folder: Path) -> Work:
    """As a build does for each of its candidates: an object, and a record of its measurement."""

    def work() -> None:
        for target in range(targets):
            _fill(folder, target, size)

    return work


def store_read(size: int, targets: int, folder: Path) -> Work:
    """The same again, found whole: every object and record, each byte compared."""
    for target in range(targets):
        _fill(folder, target, size)

    def work() -> None:
        for target in range(targets):
            with Store(folder) as store:
                for key in _keys(target, size):
                    if store.lookup(key) is None or store.read_record("trial", key) is None:
                        raise ValueError("what was put into the store is not there")

    return work


def store_clean(size: int, targets: int, folder: Path) -> Work:
    """Every second key is gone, so that half of the objects are garbage beside the other half."""
    for target in range(targets):
        _fill(folder, target, size)
        for key in list(_keys(target, size))[::2]:
            (folder / "keys" / key).unlink()

    def work() -> None:
        with Store(folder) as store:
            gone = store.gc()
        if gone.objects != targets * len(range(0, size, 2)):
            raise ValueError(f"{gone.objects} objects were garbage")

    return work


def choosing(size: int, targets: int, _: Path) -> Work:
    """Who goes to the gate, and what the report shows of each."""
    first = candidate("float", 0.010)
    found = [first, *(candidate(f"int8-{place}", 0.008) for place in range(1, size))]

    def work() -> None:
        for _ in range(targets):
            choose(found, results.BUDGETS)
            for one in found:
                candidate_result(one, found, "int8-1", "", 0.95)

    return work


def page(size: int, targets: int, _: Path) -> Work:
    """The HTML page of every target."""
    result = large_build(size)
    build_page(results.build_result())  # the template is compiled once

    def work() -> None:
        for _ in range(targets):
            build_page(result, results.lineage())

    return work


def terminal(size: int, targets: int, _: Path) -> Work:
    """What a person at a terminal sees."""
    result = large_build(size)

    def work() -> None:
        for _ in range(targets):
            with redirect_stderr(io.StringIO()):
                print_build(result)

    return work


def markdown(size: int, targets: int, _: Path) -> Work:
    """What a pull request and a CI server are told."""
    result = large_build(size)

    def work() -> None:
        for _ in range(targets):
            build_markdown(result)
            summary_junit(build_summary(result))

    return work


def record(size: int, targets: int, _: Path) -> Work:
    """`result.json`, written and read."""
    result = large_build(size)

    def work() -> None:
        for _ in range(targets):
            decode_json(encode_json(result), BuildResult, where="result")

    return work


PARTS: Final[dict[str, Part]] = {
    "store: fill": store_fill,
    "store: read": store_read,
    "store: gc": store_clean,
    "choosing": choosing,
    "page": page,
    "terminal": terminal,
    "markdown, JUnit": markdown,
    "result.json": record,
}


def large_build(size: int) -> BuildResult:
    """A build of so many candidates, that timed as many shapes and trained as many."""
    base, second = search.candidates()[0], search.candidates()[1]
    shapes = search.shapes()
    trained = search.training(search.profile(4, 0.5), 1, 9)
    found = msgspec.structs.replace(
        search.search_result(),
        shapes=tuple(_other(shapes[0], (k + 1) / size) for k in range(size)),
        trainings=tuple(
            msgspec.structs.replace(
                trained,
                recipe=f"shape {k}",
                rung=1 + k % 3,
                profile=msgspec.structs.replace(shapes[0].profile, ffn=(k + 1) / size),
            )
            for k in range(size)
        ),
    )
    made = (base, *(_spread(second, place, size) for place in range(1, size)))
    return msgspec.structs.replace(search.build(), candidates=made, search=found)


def _spread(one: CandidateResult, place: int, size: int) -> CandidateResult:
    """Another candidate, elsewhere on the plane of latency and loss."""
    if one.latency is None or one.accuracy is None:
        raise ValueError("the pattern was measured")
    slower = 0.3 + 1.4 * (place * 7 % size) / size
    tail, loss = one.latency.tail, one.accuracy.loss
    moved = msgspec.structs.replace(tail, **_scaled(tail, slower))
    lost = msgspec.structs.replace(loss, **_scaled(loss, 0.2 + 2.0 * (place * 13 % size) / size))
    return msgspec.structs.replace(
        one,
        recipe=f"int8-{place}",
        chosen=place == 1,
        latency=msgspec.structs.replace(one.latency, tail=moved),
        accuracy=msgspec.structs.replace(one.accuracy, loss=lost),
    )


def _scaled(figure: Figure, factor: float) -> dict[str, float]:
    named = {"value": figure.value, "lower": figure.lower, "upper": figure.upper}
    return {name: value * factor for name, value in named.items() if value is not None}


def _other(shape: TimedShape, share: float) -> TimedShape:
    """Another shape, between the fastest and the slowest."""
    profile = msgspec.structs.replace(shape.profile, ffn=share)
    ratio = 0.1 + 0.5 * share
    return msgspec.structs.replace(shape, profile=profile, ratio=ratio, lower=ratio, upper=ratio)


def _fill(folder: Path, target: int, size: int) -> None:
    with Store(folder) as store:
        for place, key in enumerate(_keys(target, size)):
            with store.stage() as staged:
                write_new_file(staged / "model.onnx", _MODEL + f"{target} {place}".encode())
                store.commit(staged, key)
            store.put_record("trial", key, _MEASURED)


def _keys(target: int, size: int) -> Iterator[str]:
    return (cache_key({"target": target, "candidate": place}) for place in range(size))
