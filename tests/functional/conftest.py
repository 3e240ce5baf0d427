"""The command in this process and in others, on tiny models that are made once a run."""

import contextlib
import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deployopt.cli.main import run
from tests.fakes import hurried, models

ROOT = Path(__file__).parents[2]


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        return json.loads(self.out)

    @property
    def paragraph(self) -> str:
        """What a person reads on stderr, on one line."""
        return " ".join(self.err.split())


Invoke = Callable[..., Done]


@pytest.fixture(scope="session")
def hurry() -> Iterator[None]:
    """Short measurements for the whole run, in the processes that the tests start as well."""
    with pytest.MonkeyPatch.context() as patch:
        hurried.hurry(patch)
        yield


def invoke_here(*words: object) -> Done:
    """The command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(word) for word in words])
    return Done(code=int(code), out=out.getvalue(), err=err.getvalue())


@pytest.fixture(scope="session")
def invoke(hurry: None) -> Invoke:  # noqa: ARG001 -- it has to have come first
    """The command line in this process, measuring in a hurry."""
    return invoke_here


def outside(
    command: Sequence[object], folder: Path, environment: dict[str, str] | None = None
) -> Done:
    """A command in a process of its own, started in `folder`."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=child_environment() | (environment or {}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


def child_environment() -> dict[str, str]:
    """This one's, with the checkout on the path."""
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def check_schema(name: str, found: object) -> None:
    """Hold an object that was printed against the schema that is published."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / f"{name}.schema.json").read_bytes())
    jsonschema.validators.validator_for(schema).check_schema(schema)
    jsonschema.validate(found, schema)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is made once."""
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture(scope="session")
def texts(shelf: Path) -> Path:
    """Texts and the names of their labels."""
    rows = [(text, models.LABELS[label]) for text, label in models.labelled_texts()]
    return models.write_csv(shelf / "texts.csv", rows)


@pytest.fixture(scope="session")
def text_model(shelf: Path) -> Path:
    """A trained text classifier as a folder; needs torch."""
    return models.train_text_model(shelf / "tiny-text")


@pytest.fixture(scope="session")
def here(shelf: Path) -> Path:
    """A target that this machine is, in a file."""
    return models.write_target(shelf / "here.toml")


@pytest.fixture(scope="session")
def mlp(shelf: Path) -> Path:
    """An ONNX file of two layers, its batch free."""
    pytest.importorskip("onnx")
    return models.write_mlp(shelf / "mlp.onnx")


@pytest.fixture(scope="session")
def arrays(shelf: Path) -> Path:
    """Inputs for it."""
    return models.write_arrays(shelf / "inputs.npz", 16)


@pytest.fixture(scope="session")
def mlp_build(invoke: Invoke, shelf: Path, mlp: Path, arrays: Path, here: Path) -> Done:
    """That graph built for this machine into `shelf/mlp*`; JSON on stdout."""
    return invoke(
        "build", "-t", here, "-m", mlp, "-d", arrays, "-o", shelf / "mlp", "--store",
        shelf / "store", "--json",
    )  # fmt: skip


@pytest.fixture(scope="session")
def mlp_bundle(mlp_build: Done) -> Path:
    """Its bundle, to be read only."""
    return Path(mlp_build.json["bundle"])


@pytest.fixture(scope="session")
def text_build(invoke: Invoke, shelf: Path, text_model: Path, texts: Path) -> Done:
    """The text model built for a Raspberry Pi 4 into `shelf/pi*`; JSON on stdout."""
    return invoke(
        "build", "-t", "rpi4", "-m", text_model, "-d", texts, "-o", shelf / "pi", "--store",
        shelf / "store", "-b", "accuracy_drop=5pt", "--json",
    )  # fmt: skip


@pytest.fixture(scope="session")
def text_bundle(text_build: Done) -> Path:
    """Its bundle, to be read only."""
    return Path(text_build.json["bundle"])
