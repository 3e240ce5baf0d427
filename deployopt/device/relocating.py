"""The paths of a request, given other roots: relative ones to travel, absolute ones to be used.

In: a request and a function of its paths. Out: the same request with other paths.
"""

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from deployopt.device.protocol import (
    AnswerRequest,
    EvaluateRequest,
    Request,
    ScoreRequest,
    SettingRequest,
)

Move = Callable[[Path], Path]


def relocated(request: Request, move: Move, result: Path) -> Request:
    """Every path that is read goes through `move`; what is written goes to `result`."""
    setup = replace(request.setup, model=move(request.setup.model))
    if isinstance(request, EvaluateRequest):
        data = replace(
            request.data, folder=move(request.data.folder), examples=move(request.data.examples)
        )
        return EvaluateRequest(setup=setup, data=data, result=result)
    if isinstance(request, ScoreRequest):
        return replace(
            request,
            setup=setup,
            documents=move(request.documents),
            asked=move(request.asked),
            chosen=move(request.chosen),
            timed=move(request.timed),
            choices=None if request.choices is None else move(request.choices),
            result=result,
        )
    if isinstance(request, SettingRequest):
        return replace(request, setup=setup, prompts=move(request.prompts))
    expected = None if request.expected is None else move(request.expected)
    if isinstance(request, AnswerRequest):
        return replace(request, setup=setup, prompts=move(request.prompts), expected=expected)
    return replace(request, setup=setup, feeds=move(request.feeds), expected=expected)
