"""Puts the small install on the device: a virtual environment, and deployopt's own code beside it.

Runs there, as a part of the program that is sent. In: which packages, wheels and code are wanted.
Out: the environment's Python. Everything is made under another name first, so that an install that
was broken off is never used. Only the standard library is used.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypedDict

from deployopt.store.locks import hold
from deployopt.store.receiving import Objects, ReceivingError
from deployopt.store.staging import remove_abandoned, staged_folder, sweep

_PIP_S: Final = 1800.0
_SIGN_S: Final = 2.0
_TAIL: Final = 1500
_KEPT: Final = 3
_CODE_BYTES_MAX: Final = 64 * 2**20
_PIP_WORDS: Final = (
    *("install", "--no-deps", "--only-binary=:all:", "--no-input", "--no-cache-dir", "--quiet"),
    *("--disable-pip-version-check", "--no-warn-script-location"),
)
_PROOF: Final = "import msgspec, numpy, onnxruntime, psutil, tokenizers"


class Wanted(TypedDict):
    """What the device is to have: the `code` of this digest, and an environment of this `key`.

    `archive` is the sha256 of the code, packed; `pip` of pip's own wheel. `requirements` are for
    pip where the device has a network, `wheels` (name, sha256) where it has none. All four are
    empty in a first question.
    """

    code: str
    archive: str
    key: str
    requirements: list[str]
    wheels: list[tuple[str, str]]
    pip: str


class FurnishingError(Exception):
    """The install did not come about; `kind` is `network` where wheels from elsewhere may help."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Furnisher:
    """One device's install; `sign` is called every few seconds."""

    def __init__(self, root: Path, objects: Objects, sign: Callable[[], None]) -> None:
        self._root = root
        self._objects = objects
        self._sign = sign

    def furnish(self, wanted: Wanted) -> str:
        """Make what is missing; the full path of the Python to run, empty without a key.

        Raises:
            FurnishingError: with the kind `code` or `empty` where the code or the environment is
                to be made and nothing was said about how.
        """
        sweep(self._root)
        with self._alone():
            code = code_folder(self._root, wanted["code"])
            if not code.exists():
                self._unpack(code, wanted["archive"])
            self._hold(code)
            if not wanted["key"]:
                return ""
            environment = self._root / f"env-{wanted['key']}"
            if not environment.exists():
                self._make(environment, wanted)
            self._hold(environment)
        return str(environment / "bin" / "python")

    def _hold(self, folder: Path) -> None:
        """Until the server, which this process becomes, has ended: nobody may remove it."""
        descriptor = hold(folder)
        if descriptor is not None:
            os.set_inheritable(descriptor, True)  # noqa: FBT003 -- the function takes it so

    def _make_room(self, kind: str) -> None:
        """Remove what other versions left and nobody uses, when it has become much."""
        others = sorted(self._root.glob(f"{kind}-*"))
        if len(others) >= _KEPT:
            for folder in others:
                remove_abandoned(folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two connections do not make the same thing at the same time."""
        descriptor = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(_SIGN_S)
                    self._sign()
            yield
        finally:
            os.close(descriptor)

    def _unpack(self, folder: Path, archive: str) -> None:
        if not archive:
            raise FurnishingError("code", "The code is not there yet.")
        self._make_room("code")
        with staged_folder(self._root) as staging:
            unpack_code(self._objects.path(archive), staging / "code")
            os.sync()
            (staging / "code").rename(folder)
            self._objects.forget([archive])

    def _make(self, environment: Path, wanted: Wanted) -> None:
        if not wanted["pip"]:
            raise FurnishingError("empty", "There is no environment yet.")
        self._make_room("env")
        with staged_folder(self._root) as folder:
            made = folder / "env"
            self._run([sys.executable, "-I", "-m", "venv", "--without-pip", str(made)], "device")
            python = str(made / "bin" / "python")
            pip = self._placed(folder, "pip-0-py3-none-any.whl", wanted["pip"])
            wheels = [self._placed(folder, name, digest) for name, digest in wanted["wheels"]]
            source = ["--no-index", *wheels] if wheels else self._network(wanted["requirements"])
            kind = "device" if wheels else "network"
            self._run([python, "-I", f"{pip}/pip", *_PIP_WORDS, *source], kind)
            self._run([python, "-I", "-c", _PROOF], "device")
            # All of it before its name: a cut of the power must not leave half an environment.
            os.sync()
            made.rename(environment)
            self._objects.forget([wanted["pip"], *(digest for _, digest in wanted["wheels"])])

    def _network(self, requirements: Sequence[str]) -> list[str]:
        return ["--retries", "1", "--timeout", "15", *requirements]

    def _placed(self, folder: Path, name: str, digest: str) -> str:
        if Path(name).name != name or not name.endswith(".whl"):
            raise FurnishingError("integrity", "A wheel has a name that is none.")
        try:
            self._objects.place(digest, folder / name)
        except ReceivingError as error:
            raise FurnishingError(error.kind, str(error)) from error
        return str(folder / name)

    def _run(self, command: Sequence[str], kind: str) -> None:
        """Run one program, with signs of life; it does not outlive the connection."""
        process = subprocess.Popen(  # noqa: S603 -- an argument list of ours, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        said, waited = b"", 0.0
        try:
            while True:
                try:
                    said, _ = process.communicate(timeout=_SIGN_S)
                    break
                except subprocess.TimeoutExpired:
                    waited += _SIGN_S
                    if waited > _PIP_S:
                        raise FurnishingError(kind, "The install took half an hour.") from None
                    self._sign()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode:
            words = said[-_TAIL:].decode("utf-8", "replace").strip()
            raise FurnishingError(kind, words or f"it ended with {process.returncode}")


def code_folder(root: Path, digest: str) -> Path:
    """Where deployopt's code of this digest lies on the device."""
    return root / f"code-{digest[:32]}"


def unpack_code(archive: Path, folder: Path) -> None:
    """Unpack deployopt's own code; only plain relative names, and no more than is sane."""
    with zipfile.ZipFile(archive) as opened:
        entries = opened.infolist()
        if sum(entry.file_size for entry in entries) > _CODE_BYTES_MAX:
            raise FurnishingError("integrity", "The code is larger than deployopt is.")
        for entry in entries:
            parts = entry.filename.split("/")
            if entry.is_dir() or {"", ".", ".."} & set(parts) or "\\" in entry.filename:
                raise FurnishingError("integrity", "The code has a file of a name that is none.")
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(opened.read(entry))
