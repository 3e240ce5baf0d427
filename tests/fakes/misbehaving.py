"""Candidates that misbehave in the process that measures them, for real.

`Misbehave` is a step that writes into a graph what it is to do. The measuring child, where `lead`
was called, does that when the graph is run. Everything else about the child is as it ships.
"""

import ctypes
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import numpy as np

from deployopt.core.artifact import Artifact, Format
from deployopt.core.recipe import StepContext
from deployopt.core.samples import Array, Feed
from deployopt.device.timing import PROBES
from deployopt.steps.export import MODEL_FILE

KEY: Final = "misbehaves"
_FOUND: Final = re.compile(rb"misbehaves:([a-z-]+);")
_CHUNK: Final = 32 * 2**20
_WORK_S: Final = 0.002
"""A request's honest time, long enough that an answer from memory is known by it."""
_WARM: Final = 75
"""Requests of a warm-up, at least; an accuracy run here has fewer."""
Run = Callable[[Feed], list[Array]]


class Misbehave(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same graph, with a word in it."""

    name: ClassVar[str] = "misbehave"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ()
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    how: str

    def requires(self, source: Artifact, context: StepContext) -> None:
        """It always can."""

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write model.onnx."""
        import onnx

        graph = onnx.load(str(source.path))
        graph.metadata_props.add(key=KEY, value=f"{KEY}:{self.how};")
        onnx.save(graph, str(context.workdir / MODEL_FILE))
        if self.how == "unreadable":
            (context.workdir / MODEL_FILE).write_bytes(b"no graph at all" * 100)
        return msgspec.structs.replace(source, folder=context.workdir, entry=MODEL_FILE, digest="")


class Acting:
    """One session: what it was asked, and what an honest one answers."""

    def __init__(self, honest: Run) -> None:
        self._honest = honest
        self.calls = 0
        self.known: dict[bytes, list[Array]] = {}
        self.last: list[Array] | None = None

    def honest(self, feed: Feed) -> list[Array]:
        """Compute."""
        time.sleep(_WORK_S)
        return self._honest(feed)

    @property
    def timed(self) -> bool:
        """Whether it must be the timed part by now."""
        return self.calls > _WARM + PROBES


def _memory(_acting: Acting, _feed: Feed) -> list[Array]:
    eaten = []
    while True:
        eaten.append(bytearray(b"x") * _CHUNK)


def _hang(_acting: Acting, _feed: Feed) -> list[Array]:
    while True:
        time.sleep(60)


def _spin(_acting: Acting, _feed: Feed) -> list[Array]:
    while True:
        pass


def _stop(acting: Acting, feed: Feed) -> list[Array]:
    os.kill(os.getpid(), signal.SIGSTOP)
    return acting.honest(feed)


def _segfault(acting: Acting, feed: Feed) -> list[Array]:
    ctypes.string_at(0)
    return acting.honest(feed)


def _abort(_acting: Acting, _feed: Feed) -> list[Array]:
    os.abort()


def _leave(_acting: Acting, _feed: Feed) -> list[Array]:
    os._exit(0)


def _raise(_acting: Acting, _feed: Feed) -> list[Array]:
    raise RuntimeError("\x1b[31mred\x1b[0m and\nin two lines")


def _fork(acting: Acting, feed: Feed) -> list[Array]:
    """Leave processes behind: in the group, out of it, and with no parent."""
    if acting.calls == 1:
        for leave in (False, True):
            if os.fork() == 0:
                if leave:
                    os.setsid()
                    if os.fork():
                        os._exit(0)
                time.sleep(600)
    return acting.honest(feed)


def _fork_and_crash(acting: Acting, feed: Feed) -> list[Array]:
    """What it leaves behind holds the channel open."""
    if os.fork() == 0:
        time.sleep(600)
    return _segfault(acting, feed)


def _flood(descriptor: int) -> Callable[[Acting, Feed], list[Array]]:
    def flood(_acting: Acting, _feed: Feed) -> list[Array]:
        while True:
            os.write(descriptor, b"flood " * 10_000)

    return flood


def _babble(acting: Acting, feed: Feed) -> list[Array]:
    """Speak out of turn on every descriptor that it has."""
    for descriptor in range(3, 1024):
        try:
            os.write(descriptor, b"\x00\x00\x00\x04nope")
        except OSError:
            continue
    return acting.honest(feed)


def _not_a_number(acting: Acting, feed: Feed) -> list[Array]:
    return [np.full_like(output, np.nan) for output in acting.honest(feed)]


def _not_a_number_once(acting: Acting, feed: Feed) -> list[Array]:
    found = acting.honest(feed)
    return [np.full_like(output, np.inf) for output in found] if acting.calls == 7 else found


def _crash_when_timed(acting: Acting, feed: Feed) -> list[Array]:
    return _segfault(acting, feed) if acting.timed else acting.honest(feed)


def _hang_when_timed(acting: Acting, feed: Feed) -> list[Array]:
    return _hang(acting, feed) if acting.timed else acting.honest(feed)


def _memoise(acting: Acting, feed: Feed) -> list[Array]:
    key = b"".join(feed[name].tobytes() for name in sorted(feed))
    if key not in acting.known:
        acting.known[key] = acting.honest(feed)
    return acting.known[key]


def _zeros(acting: Acting, feed: Feed) -> list[Array]:
    return [np.zeros_like(output) for output in acting.honest(feed)]


def _skip(acting: Acting, feed: Feed) -> list[Array]:
    if acting.calls % 2 or acting.last is None:
        acting.last = acting.honest(feed)
    return acting.last


def _truncate(acting: Acting, feed: Feed) -> list[Array]:
    short = {name: array.copy() for name, array in feed.items()}
    for array in short.values():
        array[..., array.shape[-1] // 2 :] = 0
    return acting.honest(short)


def _detect(acting: Acting, feed: Feed) -> list[Array]:
    return _zeros(acting, feed) if acting.timed else acting.honest(feed)


def _detect_and_memoise(acting: Acting, feed: Feed) -> list[Array]:
    return _memoise(acting, feed) if acting.timed else acting.honest(feed)


ACTS: Final[Mapping[str, Callable[[Acting, Feed], list[Array]]]] = {
    "memory": _memory,
    "hang": _hang,
    "spin": _spin,
    "stop": _stop,
    "segfault": _segfault,
    "abort": _abort,
    "leave": _leave,
    "raise": _raise,
    "fork": _fork,
    "fork-and-crash": _fork_and_crash,
    "flood-stdout": _flood(1),
    "flood-stderr": _flood(2),
    "babble": _babble,
    "nan": _not_a_number,
    "inf-once": _not_a_number_once,
    "crash-when-timed": _crash_when_timed,
    "hang-when-timed": _hang_when_timed,
    "memoise": _memoise,
    "zeros": _zeros,
    "skip": _skip,
    "truncate": _truncate,
    "detect": _detect,
    "detect-and-memoise": _detect_and_memoise,
}


def lead(folder: Path, root: Path) -> str:
    """A PYTHONPATH with which measuring children act as their graphs say; `folder` is for it."""
    folder.mkdir()
    text = "from tests.fakes.misbehaving import act\nact()\n"
    (folder / "sitecustomize.py").write_text(text, "utf-8")
    return f"{folder}{os.pathsep}{root}"


def act() -> None:
    """In a measuring child only: sessions do what is written in their graphs."""
    if "deployopt.device.child" not in sys.orig_argv:
        return
    import onnxruntime

    class Misbehaving(onnxruntime.InferenceSession):  # type: ignore[misc]
        def __init__(self, path: str, *given: Any, **named: Any) -> None:
            super().__init__(path, *given, **named)
            found = _FOUND.search(Path(path).read_bytes())
            self._act = None if found is None else ACTS[found[1].decode()]
            self._acting: Acting | None = None

        def run(self, names: Sequence[str] | None, feed: Feed, options: Any = None) -> list[Array]:
            def honest(given: Feed) -> list[Array]:
                answer: list[Array] = super(Misbehaving, self).run(names, dict(given), options)
                return answer

            if self._act is None:
                return honest(feed)
            if self._acting is None:
                self._acting = Acting(honest)
            self._acting.calls += 1
            return self._act(self._acting, feed)

    onnxruntime.InferenceSession = Misbehaving
