"""Whole builds under faults: started from a warm process, and what they leave looked at."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import msgspec

from deployopt.core.errors import IntegrityError
from deployopt.store.digests import DigestMemo
from deployopt.store.objects import read_object
from deployopt.store.pointers import read_pointer
from deployopt.store.records import read_record
from deployopt.store.store import Store
from deployopt.store.verifying import verify_bundle
from tests.faults.warm import NONE, Asked, Fault, Reply, Start, Wait

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = Path(__file__).parent / "shim.c"
OUTPUT: Final = "b"
STORE: Final = "store"
DONE: Final = frozenset({0, 3})
FULL_OF: Final = frozenset({"enospc", "full"})


def compile_shim(folder: Path) -> Path:
    """The shim as a library; needs gcc."""
    library = folder / "shim.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", library, SOURCE,
         "-ldl", "-lpthread"],
        check=True, timeout=60,
    )  # fmt: skip
    return library


def environment(shim: Path | None = None, **more: str) -> dict[str, str]:
    """This one's, with the checkout on the path and the shim loaded."""
    loaded = {} if shim is None else {"LD_PRELOAD": str(shim)}
    settings = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    return os.environ | settings | loaded | more


class Warm:
    """The warm process (warm.py), from outside."""

    def __init__(self, shim: Path, folder: Path, words: tuple[str, ...], **more: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.faults.warm", folder, *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment(shim, **more), cwd=ROOT,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait(timeout=60)

    def start(
        self,
        words: tuple[str, ...],
        folder: Path,
        fault: Fault | None = None,
        *,
        alone: bool = True,
    ) -> int:
        """Begin a command in `folder`; its process."""
        folder.mkdir(parents=True, exist_ok=True)
        return self._ask(Start(words=words, folder=str(folder), fault=fault, alone=alone))

    def wait(self, pid: int) -> int:
        """Its exit code, or minus the signal that ended it."""
        return self._ask(Wait(pid=pid))

    def run(self, words: tuple[str, ...], folder: Path, fault: Fault | None = None) -> int:
        """Both, measuring without children."""
        return self.wait(self.start(words, folder, fault))

    def _ask(self, asked: Asked) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(asked).decode() + "\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Reply).number


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A build that is struck: what is asked, what it gives, and in how many calls."""

    warm: Warm
    words: tuple[str, ...]
    digest: str = ""
    fresh: int = NONE
    """Calls that change the place, where nothing was before."""
    calls: int = NONE
    """And where another bundle was."""
    older: Path
    """That bundle."""

    def start(self, folder: Path, fault: Fault | None = None, *, alone: bool = True) -> int:
        """Begin the build in `folder`, with its store and its bundle in `folder`/place."""
        place(folder).mkdir(parents=True, exist_ok=True)
        words = (*self.words, *places(folder))
        return self.warm.start(words, folder / "run", fault, alone=alone)

    def run(self, folder: Path, at: int = NONE, kind: str = "", trace: str = "") -> int:
        """The build, struck at a call that changes the place; its exit code."""
        fault = Fault(folders=(str(place(folder)),), at=at, kind=kind, trace=trace)
        return self.warm.wait(self.start(folder, fault))


def place(folder: Path) -> Path:
    """Where a case has its store and its bundle, and nothing else."""
    return folder / "place"


def places(folder: Path) -> tuple[str, ...]:
    """The options that say so."""
    return ("-o", str(place(folder) / OUTPUT), "--store", str(place(folder) / STORE))


def build_words(target: Path, model: Path, data: Path) -> tuple[str, ...]:
    """The build of a graph."""
    return (
        "build", "-t", str(target), "-m", str(model), "-d", str(data), "-b", "accuracy_drop=20pt",
        "--quiet",
    )  # fmt: skip


def make_case(warm: Warm, words: tuple[str, ...], folder: Path) -> Case:
    """Count the build's calls; make another bundle to stand in its way."""
    other = Case(warm=warm, words=(*words, "--seed", "1"), older=folder)
    assert other.run(folder / "older") in DONE, said(folder / "older")
    older = place(folder / "older") / OUTPUT
    plain = Case(warm=warm, words=words, older=older)
    assert plain.run(folder / "plain") in DONE, said(folder / "plain")
    digest = verify_bundle(place(folder / "plain") / OUTPUT).bundle_digest
    assert digest != verify_bundle(older).bundle_digest
    counted = folder / "counted"
    shutil.copytree(older, place(counted) / OUTPUT)
    assert plain.run(counted) in DONE, said(counted)
    fresh, calls = (int((at / "run" / "count").read_text()) for at in (folder / "plain", counted))
    return Case(warm=warm, words=words, digest=digest, fresh=fresh, calls=calls, older=older)


def said(folder: Path) -> str:
    """What the last build in `folder` wrote for people."""
    return (folder / "run" / "err").read_text("utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file by its path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def store_problems(root: Path) -> list[str]:
    """What is corrupt or half there in a store that no one has mended since."""
    problems = []
    memo = DigestMemo()
    for path in root.glob("objects/*"):
        problems += _wrong(lambda path=path: read_object(path, path.name, memo), path)  # type: ignore[misc]
    for path in root.glob("records/*/*"):
        problems += _wrong(lambda path=path: read_record(path), path)  # type: ignore[misc]
    for path in root.glob("keys/*"):
        problems += _wrong(lambda path=path: _follow(root, path), path)  # type: ignore[misc]
    return problems + [f"{path.name} was quarantined" for path in root.glob("quarantine/*")]


def bundle_problems(bundle: Path, allowed: set[str | None]) -> list[str]:
    """Whether what stands at the output is whole, and one of these; None: nothing at all."""
    if not bundle.exists():
        return [] if None in allowed else ["the bundle is gone"]
    try:
        digest = verify_bundle(bundle).bundle_digest
    except IntegrityError as error:
        return [str(error)]
    return [] if digest in allowed else [f"a bundle that nobody made: {digest}"]


def left_over(folder: Path) -> list[str]:
    """Names of staging, in the store after a collection and beside the bundle."""
    Store(place(folder) / STORE).gc()
    found = [*(place(folder) / STORE).glob("staging/*"), *place(folder).glob(".deployopt-*")]
    return [path.name for path in found]


def _follow(root: Path, key: Path) -> None:
    data = read_record(key)
    if data is not None and not (root / "objects" / read_pointer(data).digest).is_dir():
        raise ValueError("names an object that is not there")


def _wrong(look: Callable[[], object], path: Path) -> list[str]:
    try:
        look()
    except (ValueError, OSError) as error:
        return [f"{path.parent.name}/{path.name}: {error}"]
    return []
