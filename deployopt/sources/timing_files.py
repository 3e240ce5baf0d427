"""Latencies from a plain file: a number a line, or a JSON list; seconds where no unit is written.

In: a file. Out: seconds, in order. Refuses (UsageError) what is no positive, finite number.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.text import safe_text
from deployopt.core.units import Dimension, parse_quantity

LARGEST: Final = 64 * 2**20
"""Bytes of a file of figures."""
_SHOWN: Final = 60


def read_latencies(path: Path) -> tuple[float, ...]:
    """The figures of one run.

    Raises:
        UsageError: the file cannot be read, is empty or too large, or holds something else.
    """
    data = timing_bytes(path)
    shown = safe_text(str(path), 200)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{shown} is not UTF-8 text (byte {error.start}).") from error
    if text.lstrip().startswith("["):
        return checked_latencies(_json_list(data, shown), shown)
    lines = [line.strip() for line in text.splitlines()]
    figures = [_figure(line, f"{shown}, line {n}") for n, line in enumerate(lines, 1) if line]
    return checked_latencies(figures, shown)


def timing_bytes(path: Path) -> bytes:
    """The file's bytes; raises UsageError where it is no regular file, or too large."""
    shown = safe_text(str(path), 200)
    try:
        if not path.is_file():
            raise UsageError(f"There is no file {shown}.")
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{shown} has more than {LARGEST // 2**20} MiB: give fewer figures.")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror or error}.") from error


def checked_latencies(figures: Sequence[float], where: str) -> tuple[float, ...]:
    """The figures, all of them positive and finite; raises UsageError, with the first that is not.

    No request takes no time: a zero is a clock that is too coarse, or a figure that is missing.
    """
    if not figures:
        raise UsageError(f"{where} holds no figures.")
    for number, value in enumerate(figures, 1):
        if not (math.isfinite(value) and value > 0):
            raise UsageError(
                f"{where}: figure {number} is {value}, and a latency is above 0 and finite."
            )
    return tuple(figures)


def _json_list(data: bytes, where: str) -> list[float]:
    try:
        return msgspec.json.decode(data, type=list[float])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UsageError(f"{where} is no JSON list of numbers: {error}.") from error


def _figure(line: str, where: str) -> float:
    try:
        return float(line)
    except ValueError:
        pass
    try:
        return parse_quantity(line, Dimension.TIME)
    except ValueError as error:
        raise UsageError(
            f"{where}: {safe_text(line, _SHOWN)!r} is no latency. Write seconds, or a number with "
            'a unit such as "12.5 ms".'
        ) from error
