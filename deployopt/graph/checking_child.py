"""The confined process that opens a foreign graph: our limits, the checker, the runtime, a request.

In: a path. Out: the names of its external data, or RefusedInputError with the checker's sentence.
Where the runtime says no, nothing is refused: the model may be for another provider, and what its
inputs mean is not known here. It is whether the runtime lives that is tried.
"""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import onnx
import onnx.checker
import onnxruntime

from deployopt.confinement.child import main_if
from deployopt.core.freeing import release_memory
from deployopt.graph.checking import Question
from deployopt.graph.describing import describe_onnx
from deployopt.graph.external import external_files
from deployopt.graph.limits import refuse
from deployopt.graph.reading import read_graph
from deployopt.graph.running import RUN_ERRORS, made_up_feeds, open_graph

_SAID: Final = 300


def answer(question: bytes) -> bytes:
    """Open one file."""
    asked = msgspec.json.decode(question, type=Question)
    path = Path(asked.path)
    files = external_files(read_graph(path), path)
    if asked.request_s is not None:
        _check(path)
        _run(path, asked.request_s)
    release_memory()
    return msgspec.json.encode(files)


def _check(path: Path) -> None:
    try:
        onnx.checker.check_model(str(path), full_check=False)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        refuse(path, f"its graph is malformed ({_first(error)})")


def _run(path: Path, longest_s: float) -> None:
    feed = made_up_feeds(describe_onnx(path))[0]
    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    timer = threading.Timer(longest_s, setattr, (options, "terminate", True))
    with suppress(*RUN_ERRORS, TypeError):
        session = open_graph(path, threads=1)
        timer.start()
        session.run(None, dict(feed), options)
    timer.cancel()
    if options.terminate:
        refuse(path, f"one request to it took more than {longest_s:g} s")


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:_SAID]


main_if(__name__, answer)
