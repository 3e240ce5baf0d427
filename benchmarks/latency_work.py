"""What a published row ran: the kind of work and its operators.

In: the row's model, task, sizes and input. Out: operators of the whole request, and how many items
the row's figure stands for. GFLOPs are 2 a multiply-add; a row that counts multiply-adds is seen by
its model's known work, and doubled.
"""

import math
import re
from typing import Final, NamedTuple

from benchmarks.latency_models import (
    Convolutional,
    Relative,
    Transformer,
    architecture_of,
    convolutional_operations,
    find_model,
    plain,
    typical_model,
)
from benchmarks.latency_settings import UnreadableRowError
from deployopt.core.plan import Operation
from deployopt.core.workload import Workload
from deployopt.planning.operations import decode_facts, facts_of, prefill_facts
from deployopt.planning.terms import Domain

_DECODE_CONTEXT: Final = 256
_PROMPT: Final = 512
_TEXT_LENGTH: Final = 128
_LEAST_SIDE: Final = 16


def work_of(fields: dict[str, str]) -> tuple[Domain, tuple[Operation, ...], int]:
    """What is run: the kind of work, its operators, and the items that the value stands for."""
    task, name = fields["task"].lower(), fields["model"]
    unit = fields["unit"].lower()
    gflops, params = number(fields["gflops"]), number(fields["params_m"])
    model = find_model(name) or (
        None if "llm" in task or "tok" in unit else typical_model(name, task)
    )
    if "llm" in task or "tok" in unit:
        return _generating(fields, model, params)
    if isinstance(model, Transformer):
        return _encoding(fields, model, gflops, params)
    if model is None:
        raise UnreadableRowError(f"model {name!r} of task {task!r} is not known")
    if find_model(name) is None and gflops is None:
        raise UnreadableRowError(f"model {name!r} is not known, and the row has no gflops")
    return _convolving(fields, model, gflops, params)


def _convolving(
    fields: dict[str, str],
    model: Convolutional | Relative,
    gflops: float | None,
    params: float | None,
) -> tuple[Domain, tuple[Operation, ...], int]:
    batch = int(number(fields["batch"]) or 1)
    usual = _usual(model)
    pixels = _pixels(fields["input"])
    area = pixels / model.image**2 if pixels else 1.0
    known = find_model(fields["model"]) is model
    if known:
        gflops = _convention(gflops, usual, area, batch, params) if gflops else usual.gflops * area
    operations = convolutional_operations(model, gflops, params)
    return "convolution", _times(operations, batch), batch


class Usual(NamedTuple):
    """A model's own size: of one image as large as it is trained on."""

    gflops: float
    params_m: float


def _usual(model: Convolutional | Relative) -> Usual:
    if isinstance(model, Relative):
        return Usual(model.gflops, model.params_m)
    return Usual(2 * model.macs / 1e9, model.parameters / 1e6)


def _convention(
    gflops: float, usual: Usual, area: float, batch: int, params: float | None
) -> float:
    """A row's GFLOPs as 2 a multiply-add of one item; `area` counts the model's own image as 1."""
    if params is not None and not 0.9 < params / usual.params_m < 1.1:
        return gflops
    ratio = gflops / (usual.gflops * area)
    if batch > 1 and abs(ratio / batch - 1) < 0.2:
        return gflops / batch
    if 0.9 < ratio < 1.1:
        return gflops
    if abs(gflops / usual.gflops - 1) < 0.06:
        return gflops * area  # said of the model's own image, whatever the row's is
    return 2 * gflops if 0.44 < ratio < 0.56 else gflops


def _encoding(
    fields: dict[str, str], model: Transformer, gflops: float | None, params: float | None
) -> tuple[Domain, tuple[Operation, ...], int]:
    batch = int(number(fields["batch"]) or 1)
    architecture = architecture_of(model, params)
    sides = math.isqrt(_pixels(fields["input"]) or 0)
    workload = Workload(
        batch=batch,
        length=_size(fields["input"]) or _TEXT_LENGTH if model.image is None else "real",
        image_size=sides or None if model.image is not None else None,
    )
    operations = facts_of(architecture, workload).operations
    if gflops:
        work = _whole(fields, gflops, operations, batch)
        usual = sum(2 * o.macs * o.count for o in operations) / 1e9
        operations = tuple(_scaled(o, work / usual) for o in operations)
    return "encoder", operations, batch


def _whole(
    fields: dict[str, str], gflops: float, operations: tuple[Operation, ...], batch: int
) -> float:
    """GFLOPs of the whole batch: those of an item or of all, in multiply-adds or twice as many.

    The reading is taken that lies nearest to what the model does, or where it is not known to twice
    its parameters a token.
    """
    usual = sum(2 * o.macs * o.count for o in operations) / 1e9
    params = number(fields["params_m"])
    known = find_model(fields["model"]) is not None
    if not known and params:
        read = sum(o.weights * o.count for o in operations) / 1e6
        usual *= params / read
    readings = [gflops, gflops * batch]
    whole = min(readings, key=lambda reading: abs(math.log(reading / usual)))
    return 2 * whole if known and 0.44 < whole / usual < 0.56 else whole


def _generating(
    fields: dict[str, str],
    model: Convolutional | Relative | Transformer | None,
    params: float | None,
) -> tuple[Domain, tuple[Operation, ...], int]:
    batch = int(number(fields["batch"]) or 1)
    if not isinstance(model, Transformer) or not model.causal:
        model = _usual_decoder(fields["model"], params)
    architecture = architecture_of(model, params)
    if "prefill" in fields["task"].lower() or "prompt" in fields["task"].lower():
        prompt = _size(fields["input"]) or _PROMPT
        facts = prefill_facts(architecture, batch=batch, prompt=prompt)
        return "prefill", facts.operations, batch * prompt
    facts = decode_facts(architecture, batch=batch, context=_context(fields["input"].lower()))
    return "decode", facts.operations, batch


def _context(text: str) -> int:
    """Tokens in sight half-way through `in6144+gen2048`, `tg512` or `short`."""
    made = re.search(r"(?:gen|tg|out)\D*(\d+)", text)
    if made is None:
        return _DECODE_CONTEXT
    read = re.search(r"(?:in|pp|prompt)\D*(\d+)", text)
    return max(1, (int(read[1]) if read else 0) + int(made[1]) // 2)


def _usual_decoder(name: str, params: float | None) -> Transformer:
    """The usual shape at that many parameters, from the row or the name."""
    if params is None:
        written = re.search(r"(\d+(?:\.\d+)?)\s*(b|m)(?![a-z])", name.lower())
        if written is None:
            raise UnreadableRowError(f"model {name!r} is not known, and the row has no params_m")
        params = float(written[1]) * (1000 if written[2] == "b" else 1)
    hidden = max(256, round((params * 1e6 / 12 / 96) ** (1 / 3)) * 64)
    layers = max(2, round(params * 1e6 / (12.2 * hidden * hidden)))
    return Transformer(
        name=plain(name), layers=layers, hidden=hidden, heads=hidden // 64,
        ffn=round(2.7 * hidden), vocabulary=32000, gated=True, causal=True, tied=params < 2000,
    )  # fmt: skip


def _scaled(operation: Operation, ratio: float) -> Operation:
    return Operation(
        kind=operation.kind,
        macs=operation.macs * ratio,
        weights=operation.weights,
        activations=operation.activations * ratio,
        count=operation.count,
    )


def _times(operations: tuple[Operation, ...], batch: int) -> tuple[Operation, ...]:
    return tuple(_scaled(o, batch) for o in operations) if batch > 1 else operations


def _pixels(text: str) -> int | None:
    """Of the last two sides in `224`, `640x480`, `1x3x224x224`; None of `see the source`."""
    sides = [int(side) for side in re.findall(r"\d+", text) if int(side) >= _LEAST_SIDE]
    return sides[-1] * sides[-2 if len(sides) > 1 else -1] if sides else None


def _size(text: str) -> int | None:
    """The one size of `384`, `pp512`, `640x640`; None of `short` and the like."""
    found = re.search(r"\d+", text)
    return int(found[0]) if found and int(found[0]) > 1 else None


def number(text: str) -> float | None:
    """A number above zero; None of anything else."""
    try:
        found = float(text.replace(",", ""))
    except ValueError:
        return None
    return found if 0 < found < math.inf else None
