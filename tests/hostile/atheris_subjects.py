"""Coverage-guided fuzzing of the same readers, where `atheris` is installed; it is no test.

    pip install atheris
    python -m tests.hostile.atheris_subjects KIND [FOLDER] [-max_total_time=600]

KIND is onnx, manifest, target, gguf, data:NAME, tokenizer:NAME or decoder:NAME, NAME the file that
is fuzzed (a.csv, a.npz, tokenizer.json, genai_config.json, …). FOLDER keeps what was found; the
good files and the seeds start it. An input that ends untyped, takes over a second or 200 MB stops
the run, and belongs into `seeds/`.
Readers in processes of their own are black boxes here: what is followed is this process.
"""

import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.hostile.bases import bases_of
from tests.hostile.subjects import SUBJECTS, Case, fault

SEEDS: Final = Path(__file__).parent / "seeds"


class FoundError(Exception):
    """An input that ended as none may."""


def main(words: list[str]) -> None:
    """Fuzz one kind until something is found, or the time is over."""
    with tempfile.TemporaryDirectory() as scratch:
        _main(words, Path(scratch))


def _main(words: list[str], scratch: Path) -> None:
    atheris = importlib.import_module("atheris")
    kind, _, name = words[0].partition(":")
    opened, kept = scratch / "opened", scratch / "kept"
    opened.mkdir()
    with atheris.instrument_imports(include=["deployopt"]):
        subject = SUBJECTS[kind](opened)
        for case in bases_of(kind):
            subject.give(case)
    folder = next((word for word in words[1:] if not word.startswith("-")), str(kept))
    name = name or bases_of(kind)[0].name
    _start_with(Path(folder), kind, name)

    def once(data: bytes) -> None:
        wrong = fault(subject, subject.give(Case(name, data)))
        if wrong is not None:
            raise FoundError(wrong)

    options = [word for word in words[1:] if word.startswith("-")]
    _fuzz(atheris, [sys.argv[0], folder, *options], once)


def _fuzz(atheris: Any, arguments: list[str], once: Any) -> None:
    atheris.Setup(arguments, once)
    atheris.Fuzz()


def _start_with(folder: Path, kind: str, name: str) -> None:
    folder.mkdir(exist_ok=True)
    good = [case.data for case in bases_of(kind) if case.name == name]
    seeds = [path.read_bytes() for path in (SEEDS / kind).glob(f"*__{name}")]
    for at, data in enumerate([*good, *seeds]):
        (folder / f"start-{at}").write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1:])
