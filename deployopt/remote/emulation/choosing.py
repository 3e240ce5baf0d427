"""A few of a bundle's examples: as many as were asked for, or as fit into the time.

In: the gate's examples. Out: sets of the first few, in files of their own, and what this machine
answers to them. Refuses a model of which not one answer would come in time.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.examples import Examples, decode_examples, encode_examples
from deployopt.core.units import Dimension, show_quantity
from deployopt.device.accuracy import Evaluation, evaluate
from deployopt.device.device import ThisMachine
from deployopt.device.setup import EvaluationSet, Setup
from deployopt.store.writing import write_new_file

SLOWER: Final = 300.0
"""Emulated over this machine, one thread: 110 to 1 170 were measured."""
_SHARE: Final = 0.5
"""Of the time, for answers: they are given once more when they are counted."""


class Few(msgspec.Struct, frozen=True, kw_only=True):
    """Examples, and what they gave here."""

    data: EvaluationSet
    here: Evaluation
    available: int
    """How many the bundle holds."""


def few_examples(
    setup: Setup, data: EvaluationSet, most: int, time_limit_s: float, workdir: Path
) -> Few:
    """The first `most` examples, or fewer where the emulator would take longer than the limit.

    Raises:
        UsageError: one request alone would.
        DeviceError: the model failed here.
    """
    everything = decode_examples(data.examples)
    batch = data.workload.batch
    chosen = _first(everything, data, max(1, most // batch) * batch, workdir)
    here = evaluate(setup, chosen, workdir, ThisMachine())
    each_s = here.seconds / max(1, len(here.outputs))
    fitting = int(_SHARE * time_limit_s / (each_s * SLOWER)) if each_s > 0 else most
    if fitting < 1:
        raise UsageError(
            f"One answer takes {show_quantity(each_s, Dimension.TIME)} on this machine, and the "
            f"emulator is some {SLOWER:g} times slower: a run would not end within "
            f"{show_quantity(time_limit_s, Dimension.TIME)}. Emulate models of less than about 0.3 "
            "billion operations, or give it longer with --time-limit."
        )
    if fitting * batch < here.examples:
        chosen = _first(everything, data, fitting * batch, workdir)
        here = evaluate(setup, chosen, workdir, ThisMachine())
    return Few(data=chosen, here=here, available=len(everything))


def first_requests(data: EvaluationSet, requests: int, workdir: Path) -> EvaluationSet:
    """The first of the same examples, to be counted."""
    return _first(decode_examples(data.examples), data, requests * data.workload.batch, workdir)


def _first(examples: Examples, data: EvaluationSet, count: int, workdir: Path) -> EvaluationSet:
    labels = examples.labels
    suffix, content = encode_examples(
        Examples(inputs=examples.inputs[:count], labels=None if labels is None else labels[:count])
    )
    path = workdir / f"first-{count}{suffix}"
    if not path.exists():
        write_new_file(path, content)
    return msgspec.structs.replace(data, examples=path)
