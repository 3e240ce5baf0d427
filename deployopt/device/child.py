"""The fresh process that opens one model and answers one request of the supervisor.

Started as `python -P -m deployopt.device.child DESCRIPTOR PARENT`. In: one request frame. Out:
signs of life, then one reply, all on that descriptor. It dies with its parent, and never writes to
stdout.
"""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import psutil

from deployopt.confinement.confine import confine_measured
from deployopt.confinement.parent import die_with, receive
from deployopt.core.errors import (
    DeployoptError,
    ExitCode,
    IntegrityError,
    RefusedInputError,
    StorageError,
    UsageError,
)
from deployopt.core.examples import decode_examples
from deployopt.core.measurement import Round
from deployopt.core.samples import Array, Feed, decode_samples, encode_samples
from deployopt.core.steady import PASSES_WINDOW, WINDOW
from deployopt.core.text import safe_text
from deployopt.device.card_watch import begin_with, require_card, watch_card, with_card
from deployopt.device.conditions import conditions_between, read_conditions, void_reason
from deployopt.device.drawing.files import is_pipeline
from deployopt.device.generating.reading import score_texts
from deployopt.device.generating.rounds import answer_round
from deployopt.device.generating.settings import answer_setting
from deployopt.device.inputs import feeds
from deployopt.device.protocol import (
    HEADER_BYTES,
    AnswerRequest,
    Asking,
    Evaluated,
    EvaluateRequest,
    Failed,
    Kind,
    Reply,
    Request,
    Say,
    SettingRequest,
    Timed,
    TimeRequest,
    Wait,
    Waiting,
    Working,
    decode_request,
    decode_turn,
    frame,
    frame_length,
)
from deployopt.device.readings import peak_rss_bytes
from deployopt.device.rounds import RoundPlan, timed_parts, warmed
from deployopt.device.session import Session, import_runtime, no_sign, open_session, spent_of
from deployopt.device.setup import Setup
from deployopt.device.signs import Signs
from deployopt.device.timing import Pace, TimedPart, differing
from deployopt.device.turns import Turns
from deployopt.store.faults import storage_errors
from deployopt.store.writing import write_new_file

_S: Final = 1e-9
_SIGN_OF_LIFE_S: Final = 0.2
_CPU: Final = "cpu"
_KINDS: Final[tuple[tuple[tuple[type[DeployoptError], ...], Kind], ...]] = (
    ((IntegrityError, RefusedInputError), "integrity"),
    ((UsageError,), "usage"),
    ((StorageError,), "storage"),
)


def main(arguments: Sequence[str]) -> int:
    """Answer one request; the exit code only says whether a reply was given."""
    descriptor, parent = int(arguments[0]), int(arguments[1])
    die_with(parent)
    with socket.socket(fileno=descriptor) as channel:

        def say(reply: Reply) -> None:
            channel.sendall(frame(reply))

        def hear() -> bytes:
            return receive(channel, frame_length(receive(channel, HEADER_BYTES)))

        def wait() -> None:
            say(Waiting())
            decode_turn(hear())

        say(_answered(hear, say, wait))
    return ExitCode.ACCEPTED


def _answered(hear: Callable[[], bytes], say: Say, wait: Wait) -> Reply:
    """The answer to the request that comes, or why there is none."""
    try:
        request = decode_request(hear())
        confine_measured(_written(request))
        return answer(request, say, wait)
    except DeployoptError as error:
        kinds = (kind for types, kind in _KINDS if isinstance(error, types))
        return Failed(message=str(error), kind=next(kinds, "device"))
    except MemoryError:
        return Failed(message="The model needs more memory than it may take.")
    except (RuntimeError, ValueError) as error:
        return Failed(message=f"The model's process failed: {safe_text(str(error), 500)}")


def _written(request: Request) -> tuple[Path, ...] | None:
    """Where the child writes; None where a GPU's driver does as well."""
    if request.setup.provider != _CPU:
        return None
    return (request.result.parent,) if isinstance(request, Asking) else ()


def answer(request: Request, say: Say, wait: Wait = lambda: None) -> Reply:
    """Do what was asked; `wait` returns when its turn has come."""
    begin_with(request.setup)
    require_card(request.setup)
    if isinstance(request, TimeRequest):
        return _time(request, say, wait)
    if isinstance(request, EvaluateRequest):
        return _evaluate(request, say)
    if isinstance(request, AnswerRequest):
        return answer_round(request, say, wait)
    if isinstance(request, SettingRequest):
        return answer_setting(request, say)
    return score_texts(request, say)


class _Opened(msgspec.Struct):
    session: Session
    names: tuple[str, ...]
    load_s: float
    base_rss_bytes: int


def _open(setup: Setup, sign: Callable[[], None] = no_sign) -> _Opened:
    import_runtime(setup.runtime)
    base = psutil.Process().memory_info().rss
    start = time.perf_counter_ns()
    session = open_session(setup, sign)
    load_s = (time.perf_counter_ns() - start) * _S
    there = [output.name for output in session.get_outputs()]
    missing = [name for name in setup.outputs if name not in there]
    if missing:
        raise IntegrityError(
            f"{setup.model.name} has no output {missing[0]!r}; it has {', '.join(there)}."
        )
    return _Opened(session, setup.outputs or tuple(there), load_s, base)


def _time(request: TimeRequest, say: Say, wait: Wait) -> Timed:
    if request.cores:
        os.sched_setaffinity(0, request.cores)
    pool: list[Feed] = list(decode_samples(request.feeds))
    card = watch_card(request.setup.provider)
    opened = _open(request.setup, Signs(say))
    say(Working(share=0.1, what="model loaded"))
    session, names = opened.session, opened.names
    window = PASSES_WINDOW if is_pipeline(request.setup.model) else WINDOW

    def after_window(count: int) -> None:
        if count % window == 0:
            say(Working(share=0.2, what="warming up"))

    warm = warmed(session, names, pool, request.seed, after_window=after_window, window=window)
    plan = RoundPlan(
        requests=request.requests,
        min_s=request.min_s,
        seed=request.seed,
        arrivals_per_s=request.arrivals_per_s,
    )
    turns = Turns(request.turn_s, warm.guess_s, wait, card=card)
    before = read_conditions()
    spent = spent_of(session)
    spent.clear()
    parts = timed_parts(session, names, pool, plan, warm, Pace(turns=turns))
    spent_j, after = turns.energy_j(), read_conditions()
    threads = request.setup.threads
    seen = conditions_between(before, after, threads, turns.outside)
    conditions = with_card(seen, request.setup.provider, card, spent)
    mismatched, compared = _compare(request.expected, parts, opened.names)
    return Timed(
        round=Round(
            load_s=opened.load_s,
            first_s=warm.first_s,
            warmup_s=warm.warmup_s,
            steady=warm.steady,
            samples_s=tuple(s for part in parts for s in part.samples_s),
            peak_rss_bytes=peak_rss_bytes(),
            base_rss_bytes=opened.base_rss_bytes,
            conditions=conditions,
            mismatched=mismatched,
            compared=compared,
            repeat_ratio=parts[0].repeat_ratio,
            elapsed_s=None
            if request.arrivals_per_s is None
            else sum(part.elapsed_s for part in parts),
            energy_j=spent_j,
            void=void_reason(conditions, threads),
        )
    )


def _compare(
    path: Path | None, parts: Sequence[TimedPart], names: tuple[str, ...]
) -> tuple[int, int]:
    if path is None:
        return 0, 0
    expected = decode_samples(path)
    kept = [item for part in parts for item in part.kept]
    return differing(kept, expected, names), len(kept)


def _evaluate(request: EvaluateRequest, say: Say) -> Evaluated:
    signs = Signs(say)
    opened = _open(request.setup, signs)
    data = request.data
    examples = decode_examples(data.examples)
    requests = feeds(data.interface, data.folder, examples.inputs, data.workload)
    start = time.perf_counter_ns()
    outputs: list[dict[str, Array]] = []
    done, non_finite = 0, 0
    for feed in _with_signs(requests, -(-len(examples) // data.workload.batch), say, signs):
        result = dict(zip(opened.names, opened.session.run(opened.names, feed), strict=True))
        size = min(data.workload.batch, len(examples) - done)
        non_finite += count_non_finite(result, size)
        done += size
        outputs.append(result)
    seconds = (time.perf_counter_ns() - start) * _S
    peak = peak_rss_bytes()
    with storage_errors("writing answers", request.result):
        write_new_file(request.result, encode_samples(outputs))
    return Evaluated(
        requests=len(outputs),
        examples=len(examples),
        non_finite=non_finite,
        peak_rss_bytes=peak,
        base_rss_bytes=opened.base_rss_bytes,
        seconds=seconds,
    )


def _with_signs(requests: Iterator[Feed], total: int, say: Say, signs: Signs) -> Iterator[Feed]:
    last = time.perf_counter_ns()
    for count, feed in enumerate(requests):
        signs.share, signs.what = count / total, f"{count} of {total} requests"
        yield feed
        if (time.perf_counter_ns() - last) * _S > _SIGN_OF_LIFE_S:
            say(Working(share=count / total, what=f"{count} of {total} requests"))
            last = time.perf_counter_ns()


def count_non_finite(result: dict[str, Array], size: int) -> int:
    """How many of the `size` examples in one request have an output that is not finite."""
    bad = np.zeros(size, dtype=bool)
    for array in result.values():
        if not np.issubdtype(array.dtype, np.floating):
            continue
        if array.ndim and array.shape[0] == size:
            bad |= ~np.isfinite(array).reshape(size, -1).all(axis=1)
        elif not np.isfinite(array).all():
            bad[:] = True
    return int(bad.sum())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
