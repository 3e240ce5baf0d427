"""How a language model answers short, half-context and full prompts, and several at once.

In: a setup, text as token ids, how requests are answered, a device, seconds. Out: a raw round a
setting, each of a fresh process, or why a setting was left out: no time, no memory, a failure.
Figures for people; no verdict rests on them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from deployopt.core.answer_settings import AnswerSetting, SettingTrial
from deployopt.core.errors import DeviceError
from deployopt.core.measurement import Round
from deployopt.core.samples import Array, encode_samples
from deployopt.core.units import Dimension, show_quantity
from deployopt.device.device import Device
from deployopt.device.generating.answering import PROMPT
from deployopt.device.generating.asking import expected_bytes
from deployopt.device.generating.config import read_genai_config
from deployopt.device.generating.settings import LEAST
from deployopt.device.latency import cores_for
from deployopt.device.protocol import SettingRequest, Timed, Working
from deployopt.device.setup import Answering, Limits, Setup, silent
from deployopt.store.staging import staged_folder
from deployopt.store.writing import write_new_file

BATCHES: Final = (2, 4, 8)
SHORT: Final = 64
"""Tokens of a short prompt."""
_REQUESTS: Final = 24
_PROMPTS: Final = 16
"""Distinct ones, so that every row of the largest batch has its own, twice."""
_LONGER: Final = 1.5
"""A token of a long prompt takes up to so many times as long as one of a short prompt; so does a
step of several rows beside one of a single row."""
_MARGIN_S: Final = 60.0
Progress = Callable[[float, str], None]


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of whom: `text` are token ids that prompts are cut from."""

    setup: Setup
    text: Array
    answering: Answering
    seconds: float
    """Of all settings together. One that is begun gets its two answers whatever they take."""


def settings_for(answering: Answering) -> tuple[AnswerSetting, ...]:
    """Short, half and full prompts one at a time, then short ones in batches."""
    full = answering.context - answering.tokens
    half = min(answering.context // 2, full)
    short = min(SHORT, half)
    lengths = {"full": full, "half": half, "short": short}
    # Where two are the same, the shorter name tells it.
    named = {length: name for name, length in lengths.items()}
    alone = [
        AnswerSetting(name=named[length], prompt_tokens=length, answer_tokens=answering.tokens)
        for length in sorted(named)
    ]
    together = [msgspec.structs.replace(alone[0], batch=batch) for batch in BATCHES]
    return (*alone, *together)


def sweep(
    asked: Sweep, device: Device, workdir: Path, limits: Limits, progress: Progress = silent
) -> tuple[SettingTrial, ...]:
    """Every setting that there is time and memory for.

    Raises:
        UnreachableError: the device was lost.
    """
    paddings = read_genai_config(asked.setup.model).paddings
    text = asked.text[~np.isin(asked.text, list(paddings))]
    settings = settings_for(asked.answering)
    if not text.size:
        return tuple(_left(one, "there is no text to cut prompts from") for one in settings)
    found: list[SettingTrial] = []
    left_s = asked.seconds
    for number, setting in enumerate(settings):
        progress(number / len(settings), setting.words)
        share_s = left_s / (len(settings) - number)
        why = _why_not(asked, setting, found, left_s, limits)
        if why is not None:
            found.append(_left(setting, why))
            continue
        start = time.monotonic()
        one = _asked(msgspec.structs.replace(asked, text=text), setting, device, workdir, share_s)
        found.append(one)
        left_s = max(0.0, left_s - (time.monotonic() - start))
    return tuple(found)


def _why_not(
    asked: Sweep,
    setting: AnswerSetting,
    found: Sequence[SettingTrial],
    left_s: float,
    limits: Limits,
) -> str | None:
    """What it would take that is not there, by what the settings before it took."""
    context = setting.batch * _context(asked, setting)
    room = Answering(tokens=setting.answer_tokens, context=context)
    needs = expected_bytes(asked.setup, room)
    if limits.memory_bytes is not None and needs > limits.memory_bytes:
        return f"it may take {show_quantity(needs, Dimension.SIZE)}, which is more than is free"
    known = next((one.round for one in found if one.round is not None), None)
    if known is None or known.answers is None:
        return None
    first = setting.prompt_tokens / (known.answers.prefill_tps or 1.0)
    longest = first * (_LONGER if setting.prompt_tokens > SHORT else 1.0)
    later = setting.answer_tokens / (known.answers.decode_tps or 1.0)
    seconds = (1 + LEAST) * (longest * setting.batch + later * _LONGER)
    if seconds <= left_s or seconds <= asked.seconds / 2:
        return None
    wait = show_quantity(seconds, Dimension.TIME, 2)
    return f"it would take about {wait}, for which there was no time"


def _asked(
    asked: Sweep, setting: AnswerSetting, device: Device, workdir: Path, seconds: float
) -> SettingTrial:
    with staged_folder(workdir.absolute()) as folder:
        prompts = folder / "prompts.npz"
        rows = list(_cut(asked.text, setting.prompt_tokens))
        write_new_file(prompts, encode_samples([{PROMPT: row[None]} for row in rows]))
        request = SettingRequest(
            setup=msgspec.structs.replace(asked.setup, model=asked.setup.model.absolute()),
            prompts=prompts,
            context=_context(asked, setting),
            tokens=setting.answer_tokens,
            batch=setting.batch,
            requests=_REQUESTS,
            seconds=seconds,
            cores=cores_for(device.machine, asked.setup.threads),
        )
        limits = msgspec.structs.replace(
            device.limits(), wall_s=_MARGIN_S + 10.0 * max(seconds, asked.seconds)
        )
        try:
            reply = device.ask(request, limits, _unheard)
        except DeviceError as error:
            return _left(setting, str(error))
    found: Round | None = reply.round if isinstance(reply, Timed) else None
    return SettingTrial(setting=setting, round=found)


def _context(asked: Sweep, setting: AnswerSetting) -> int:
    """Of one prompt the whole; of several what they take, as every row has a context of its own."""
    if setting.batch == 1:
        return asked.answering.context
    return setting.prompt_tokens + setting.answer_tokens


def _cut(text: Array, length: int) -> Iterator[Array]:
    """Prompts of exactly this length, each from another place; a short text comes again."""
    around = np.resize(text, text.size + length)
    for number in range(_PROMPTS):
        start = number * text.size // _PROMPTS
        yield around[start : start + length]


def _left(setting: AnswerSetting, why: str) -> SettingTrial:
    return SettingTrial(setting=setting, left_out=why)


def _unheard(_: Working) -> None:
    """One setting takes seconds."""
