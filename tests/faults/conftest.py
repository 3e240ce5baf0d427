"""What the fault tests build: one small bundle's worth of files, or a whole build of a graph."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployopt.store.publishing import publish_bundle
from tests.fakes import models
from tests.fakes.bundles import manifest_of
from tests.faults.builds import Case, Warm, build_words, compile_shim, make_case

PublishTo = Callable[[Path, bytes], None]
HERE = Path(__file__).parent
EXAMPLES = 60
"""Few, so that most of a build is what it does to the disk."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill loses no page cache, so no test waits for the disk; fsync is still called."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def publish_to(tmp_path: Path) -> PublishTo:
    """Publish a bundle whose model has the given bytes at a destination."""

    def publish(destination: Path, model: bytes) -> None:
        sources = tmp_path / f"sources-{model.decode()}"
        sources.mkdir(exist_ok=True)
        files = {"model.onnx": sources / "model", "tokenizer/vocab.json": sources / "vocab"}
        for path in files.values():
            path.write_bytes(model)
        publish_bundle(files, manifest_of(files), destination)

    return publish


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled shim."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not here, which compiles what injects the faults")
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the shim stands before glibc's functions only")
    return compile_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """What is built: a graph of two layers, for a target that this machine is."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("material")
    return build_words(
        models.write_target(folder / "here.toml"),
        models.write_mlp(folder / "mlp.onnx"),
        models.write_arrays(folder / "inputs.npz", 16, count=EXAMPLES),
    )


@pytest.fixture(scope="session")
def case(
    shim: Path, words: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Case]:
    """That build, in a warm process, with its calls counted."""
    folder = tmp_path_factory.mktemp("case")
    first = (*words, "-o", str(folder / "b"), "--store", str(folder / "store"))
    with Warm(shim, folder / "warm", first) as warm:
        yield make_case(warm, words, folder)


def pytest_configure(config: pytest.Config) -> None:
    """Asked for this folder alone, the whole short form is meant, its slow part included."""
    given = config.invocation_params.args
    asked = [Path(arg.split("::", 1)[0]).resolve() for arg in given if not arg.startswith("-")]
    marked = any(arg.startswith(("-m", "-k")) for arg in given)
    if asked and not marked and all(path == HERE for path in asked):
        config.option.markexpr = "not long"
