"""A published latency table, row by row, as questions to the predictor.

In: a CSV with the columns of data/latency_calibration.csv. Out: for each row the operators, the
setting and the time that was measured, or why it cannot be predicted; nothing is dropped silently.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.devices import find_device
from benchmarks.latency_settings import UnreadableRowError, device_of, read_runtime, setting_of
from benchmarks.latency_work import number, work_of
from deployopt.core.plan import Operation
from deployopt.planning.terms import Domain, Setting

COLUMNS: Final = (
    "device", "model", "task", "params_m", "gflops", "precision", "batch", "input", "runtime",
    "latency_ms_or_tok_s", "unit",
)  # fmt: skip
GROUPS: Final = (
    "CPU conv nets", "GPU conv nets", "transformers on GPUs", "transformers on CPUs", "LLM decode",
    "LLM prefill",
)  # fmt: skip


class Row(NamedTuple):
    """`seconds` of one request (a token in decode); `gflops` and `params_m` as the table has."""

    line: int
    device: str
    model: str
    group: str
    domain: Domain
    setting: Setting
    operations: tuple[Operation, ...]
    seconds: float
    gflops: float
    params_m: float
    fields: dict[str, str]


class Left(NamedTuple):
    """A row that is not predicted, and why."""

    line: int
    device: str
    model: str
    reason: str


def read_rows(path: Path) -> tuple[list[Row], list[Left]]:
    """Every row of the table, as a question or with the reason why not."""
    rows: list[Row] = []
    left: list[Left] = []
    for line, fields in _lines(path):
        try:
            rows.append(read_row(line, fields))
        except UnreadableRowError as error:
            left.append(Left(line, fields["device"], fields["model"], str(error)))
    return rows, left


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise SystemExit(f"{path}: no column {', '.join(missing)}")
        for fields in reader:
            cells = {k: (v or "").strip() for k, v in fields.items() if k}
            yield reader.line_num, cells


def read_row(line: int, fields: dict[str, str]) -> Row:
    """One row as a question; raises UnreadableRowError."""
    _require_trusted(fields)
    device = device_of(fields["device"], fields["runtime"])
    domain, operations, items = work_of(fields)
    runtime = read_runtime(fields["runtime"], fields.get("source", ""))
    setting = setting_of(device, runtime, fields["precision"], domain)
    value = number(fields["latency_ms_or_tok_s"])
    if value is None:
        raise UnreadableRowError("no measured value")
    seconds = _seconds(value, fields, domain, items)
    return Row(
        line=line,
        device=board(fields["device"]),
        model=fields["model"],
        group=_group(domain, setting),
        domain=domain,
        setting=setting,
        operations=operations,
        seconds=seconds,
        gflops=sum(2 * o.macs * o.count for o in operations) / 1e9,
        params_m=number(fields["params_m"]) or sum(o.weights * o.count for o in operations) / 1e6,
        fields=fields,
    )


def board(name: str) -> str:
    """The device as it is held out: by its own name, whatever its clock and the part that works."""
    device = find_device(name)
    return re.sub(r"_\d+mhz$", "", device.name if device else name)


def _require_trusted(fields: dict[str, str]) -> None:
    runtime, precision = fields["runtime"].lower(), fields["precision"].lower()
    if "low trust" in fields.get("note", "").lower():
        raise UnreadableRowError("low trust, as the table's note says")
    if "vulkan" in runtime and "ncnn" in runtime and "int8" in precision:
        raise UnreadableRowError("ncnn-Vulkan int8 ran largely off the GPU")


def _seconds(value: float, fields: dict[str, str], domain: Domain, items: int) -> float:
    """Of the whole request: a batch, a prompt, or one token of each sequence.

    Rates count items (images, sequences, tokens); times are of the whole request, if a note does
    not say that they are of each image.
    """
    unit = fields["unit"].lower().replace(" ", "")
    if unit in _ITEM_RATES:
        return items / value
    if unit in _REQUEST_RATES:
        return 1 / value
    if unit in {"ms/tok", "ms/token"}:
        return value / 1e3 * (items if domain == "prefill" else 1)
    factor = _TIMES.get(unit)
    if factor is None:
        raise UnreadableRowError(f"unit {unit!r} is not a time or a rate of one request")
    each = "per image" in fields.get("note", "").lower()
    return value * factor * (items if each else 1)


_ITEM_RATES: Final = frozenset(
    f"{what}/{per}"
    for what in (
        "tok", "token", "tokens", "t", "img", "imgs", "image", "images", "im", "frames", "sample",
        "samples", "seq", "seqs", "sequences", "sentence", "sentences", "inf", "infer",
        "inferences", "req", "requests", "queries", "items",
    )
    for per in ("s", "sec", "second")
) | {"fps", "qps", "ips", "tps"}  # fmt: skip
_REQUEST_RATES: Final = frozenset({"it/s", "its/s", "batches/s", "batch/s", "steps/s", "hz"})
_TIMES: Final = {
    "ms": 1e-3, "ms/it": 1e-3, "ms/batch": 1e-3, "ms/step": 1e-3, "s": 1.0, "sec": 1.0,
    "s/it": 1.0, "us": 1e-6, "µs": 1e-6, "μs": 1e-6,
}  # fmt: skip


def _group(domain: Domain, setting: Setting) -> str:
    gpu = setting.platform == "gpu"
    if domain == "convolution":
        return "GPU conv nets" if gpu else "CPU conv nets"
    if domain == "encoder":
        return "transformers on GPUs" if gpu else "transformers on CPUs"
    return "LLM decode" if domain == "decode" else "LLM prefill"
