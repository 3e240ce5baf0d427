"""What strangers' bytes are given to: the readers that the commands use, and nothing besides.

In: a case, a file's name and its bytes. Out: how it ended, what it took. A reader that raises
anything but one of deployopt's own errors of the right kind breaks the test that asked.
"""

import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from deployopt.confinement.reader import Bounds, Reader
from deployopt.core.errors import DeployoptError, ExitCode
from deployopt.core.interface import ImageInputs

ASSETS: Final = Path(__file__).parent.parent / "assets"
WALL_S: Final = 30.0
"""After which a reader is stopped; a busy machine holds it up, so that it is no measure."""
SECONDS_MAX: Final = 1.0
"""Of processor time."""
_REQUEST_S: Final = 0.5
BYTES_MAX: Final = 200 * 2**20
BOUNDS: Final = Bounds(wall_s=WALL_S, memory_bytes=BYTES_MAX, headroom_bytes=0)
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_SPOKEN_MAX: Final = 3_100
_HIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_COMMAND: Final = re.compile(r"::|##\[")


class Case(NamedTuple):
    """A stranger's file."""

    name: str
    data: bytes


class Ended(NamedTuple):
    """How a reader ended with it."""

    how: str
    """`opened`, or the exit code's number."""
    says: str
    seconds: float
    grown_bytes: int


class Subject:
    """One kind of file: its readers, in a scratch folder, and the processes that serve them."""

    exits: frozenset[ExitCode] = frozenset({ExitCode.USAGE, ExitCode.INTEGRITY})
    lists = False
    """Whether an error is a list of what is wrong, a line each."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.readers: dict[str, Reader] = {}

    def reader(self, module: str) -> Reader:
        """The confined process that stays for all cases; one that died is started afresh."""
        if module not in self.readers:
            self.readers[module] = Reader(module, [self.scratch], BOUNDS)
        return self.readers[module]

    def close(self) -> None:
        for reader in self.readers.values():
            reader.close()

    def give(self, case: Case) -> Ended:
        """Let the readers have it; raises whatever is none of deployopt's errors."""
        for reader in self.readers.values():
            reader.start()
        before = self._cpu_s()
        start = time.process_time()
        held = self._held_bytes()
        how, says = "opened", ""
        try:
            self.open(case)
        except DeployoptError as error:
            how, says = str(int(error.exit_code)), str(error)
        seconds = time.process_time() - start + max(0.0, self._cpu_s() - before)
        return Ended(how, says, seconds, max(0, self._peak_bytes() - held))

    def open(self, case: Case) -> None:
        raise NotImplementedError

    def _pids(self) -> list[str]:
        return ["self", *(str(r.pid) for r in self.readers.values() if r.pid is not None)]

    def _cpu_s(self) -> float:
        total = 0.0
        for pid in self._pids()[1:]:
            fields = _kernel(pid, "stat").rpartition(")")[2].split()
            total += sum(map(int, fields[11:13])) / _TICKS_PER_S if fields else 0.0
        return total

    def _held_bytes(self) -> int:
        """Resident now; the kernel begins to note the peak anew."""
        for pid in self._pids():
            try:
                Path(f"/proc/{pid}/clear_refs").write_text("5")
            except OSError:
                continue
        return sum(_status(pid, "VmRSS") for pid in self._pids())

    def _peak_bytes(self) -> int:
        return sum(_status(pid, "VmHWM") for pid in self._pids())


def fault(subject: Subject, ended: Ended) -> str | None:
    """What is wrong with how a case ended; None where it is as it should be."""
    allowed = {"opened", *(str(int(code)) for code in subject.exits)}
    if ended.how not in allowed:
        return f"ended with {ended.how}: {ended.says[:300]}"
    if ended.how != "opened" and not 0 < len(ended.says) <= _SPOKEN_MAX:
        return f"says {len(ended.says)} characters"
    lines = ended.says.split("\n") if subject.lists else [ended.says]
    if any(_HIDDEN.search(line) or _COMMAND.search(line) for line in lines):
        return f"its paragraph would command a terminal or a CI service: {ended.says[:300]!r}"
    if ended.seconds > SECONDS_MAX:
        return f"took {ended.seconds:.2f} s"
    if ended.grown_bytes > BYTES_MAX:
        return f"took {ended.grown_bytes / 2**20:.0f} MiB"
    return None


class Graphs(Subject):
    """ONNX files, with external data beside them."""

    exits = frozenset({ExitCode.INTEGRITY})

    def __init__(self, scratch: Path) -> None:
        super().__init__(scratch)
        (scratch / "model.onnx.data").write_bytes(bytes(range(256)) * 16)

    def open(self, case: Case) -> None:
        from deployopt.graph.checking import MODULE, ask_about

        path = self.scratch / "model.onnx"
        path.write_bytes(case.data)
        ask_about(path, self.reader(MODULE), request_s=_REQUEST_S)


class Manifests(Subject):
    """A bundle's manifest, its seal made to fit, as whoever changes one would."""

    exits = frozenset({ExitCode.INTEGRITY})
    lists = True

    def __init__(self, scratch: Path) -> None:
        super().__init__(scratch)
        for name, asset in (("model.onnx", "text.onnx"), ("tokenizer.json", "tokenizer.json")):
            (scratch / name).write_bytes((ASSETS / asset).read_bytes())

    def open(self, case: Case) -> None:
        import hashlib

        from deployopt.store.verifying import verify_bundle

        (self.scratch / "manifest.json").write_bytes(case.data)
        seal = f"{hashlib.sha256(case.data).hexdigest()}  manifest.json\n"
        (self.scratch / "manifest.json.sha256").write_text(seal, encoding="ascii")
        verify_bundle(self.scratch)


class Targets(Subject):
    """A target's profile."""

    exits = frozenset({ExitCode.USAGE})

    def open(self, case: Case) -> None:
        from deployopt.planning.targets import read_target

        path = self.scratch / "target.toml"
        path.write_bytes(case.data)
        read_target(path)


class Data(Subject):
    """Examples to judge by: tables, arrays, images."""

    def open(self, case: Case) -> None:
        path = self.scratch / case.name
        path.write_bytes(case.data)
        _OPENERS[path.suffix](self, path)


def _open_table(_: Data, path: Path) -> None:
    from deployopt.sources.tables import read_table

    read_table(path)


def _open_parquet(subject: Data, path: Path) -> None:
    from deployopt.sources.parquet import MODULE, read_parquet

    read_parquet(path, {}, subject.reader(MODULE))


def _open_arrays(_: Data, path: Path) -> None:
    from deployopt.core.plain_arrays import read_arrays_of

    read_arrays_of(path, BYTES_MAX // 4)


def _open_array(_: Data, path: Path) -> None:
    from deployopt.core.plain_arrays import read_one_array

    read_one_array(path, BYTES_MAX // 4)


def _open_image(subject: Data, path: Path) -> None:
    from deployopt.sources.images import MODULE, read_image

    inputs = ImageInputs(input_name="x", height=16, width=16, resize=18)
    read_image(path, inputs, reader=subject.reader(MODULE))


_OPENERS: Final[Mapping[str, Callable[[Data, Path], None]]] = {
    ".csv": _open_table,
    ".tsv": _open_table,
    ".jsonl": _open_table,
    ".json": _open_table,
    ".parquet": _open_parquet,
    ".npz": _open_arrays,
    ".npy": _open_array,
    ".png": _open_image,
    ".jpg": _open_image,
    ".bmp": _open_image,
    ".webp": _open_image,
}


class Tokenizers(Subject):
    """A text model's folder: tokenizer, its options, the config, older word lists."""

    def __init__(self, scratch: Path) -> None:
        from tests.fakes.model_folder import write_text_model

        super().__init__(scratch)
        folder = write_text_model(scratch / "good", tokenizer=True)
        self.good = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.folder = scratch / "model"
        self.folder.mkdir()

    def open(self, case: Case) -> None:
        from deployopt.sources.folder import read_folder
        from deployopt.sources.tokenizer_files import CHILD, made_with, tokenizer_words

        reader = self.reader(CHILD)
        for name, data in (self.good | {case.name: case.data}).items():
            (self.folder / name).write_bytes(data)
        if case.name == "vocab.txt":
            made_with(self.folder, "vocab.txt", reader)
        read_folder(self.folder, lambda path: tokenizer_words(path, reader))


class Ggufs(Subject):
    """A model in one GGUF file: its header, which is read before anything is converted."""

    def open(self, case: Case) -> None:
        from deployopt.sources.gguf_header import read_gguf

        path = self.scratch / "model.gguf"
        path.write_bytes(case.data)
        read_gguf(path)


class Decoders(Subject):
    """What a device reads of a language model before onnxruntime-genai does."""

    def __init__(self, scratch: Path) -> None:
        from tests.fakes.decoders import TinyDecoder

        super().__init__(scratch)
        TinyDecoder().save(scratch)
        self.good = {path.name: path.read_bytes() for path in scratch.iterdir()}

    def open(self, case: Case) -> None:
        from deployopt.device.generating.config import CONFIG, read_genai_config

        for name, data in (self.good | {case.name: case.data}).items():
            (self.scratch / name).write_bytes(data)
        read_genai_config(self.scratch / CONFIG)


SUBJECTS: Final[Mapping[str, type[Subject]]] = {
    "onnx": Graphs,
    "manifest": Manifests,
    "target": Targets,
    "data": Data,
    "tokenizer": Tokenizers,
    "gguf": Ggufs,
    "decoder": Decoders,
}
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "onnx": ("onnx",),
    "data": ("pyarrow", "PIL"),
    "decoder": ("onnx",),
}
"""Packages without which a kind cannot be tried."""


def _kernel(pid: str, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text("ascii")
    except OSError:
        return ""


def _status(pid: str, name: str) -> int:
    for line in _kernel(pid, "status").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
