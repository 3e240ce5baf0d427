"""The folder that an image is made of."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from deployopt.core.artifact import RuntimeName
from deployopt.core.errors import UsageError
from deployopt.core.exporting import ExportRequest, ExportResult
from deployopt.core.version import VERSION
from deployopt.device.bundle_reader import open_bundle
from deployopt.pipeline.exporting.docker_words import Image, dockerfile
from deployopt.pipeline.exporting.run import run_export
from deployopt.pipeline.exporting.served import open_served
from tests.fakes.served import served_bundle

HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
NAME = f"deployopt-{VERSION}-py3-none-any.whl"


def export(bundle: Path, out: Path, **asked: Any) -> ExportResult:
    return run_export(
        ExportRequest(
            source=str(bundle), form="docker", output=out, store=out.parent / "s", **asked
        )
    )


def wheel(folder: Path, name: str = NAME, inside: str = VERSION) -> Path:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(f"deployopt-{inside}.dist-info/METADATA", "Name: deployopt\n")
    return folder / name


def instructions(out: Path) -> dict[str, list[str]]:
    text = (out / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word.isupper():
            found.setdefault(word, []).append(" ".join(rest.split()))
    return found


def test_the_whole_bundle_and_the_versions_that_measured_it(tmp_path: Path) -> None:
    result = export(served_bundle(tmp_path), tmp_path / "out")
    assert open_bundle(tmp_path / "out/bundle").manifest.name == "sample"
    pins = (tmp_path / "out/constraints.txt").read_text().split()
    assert pins == ["numpy==2.4.6", "onnxruntime==1.31.1", "tokenizers==0.23.3"]
    made = instructions(tmp_path / "out")
    assert made["FROM"] == ["${BASE}"]
    assert re.fullmatch(r"BASE=python:3\.\d+\.\d+-slim-\w+", made["ARG"][0])
    assert made["USER"] == ["10001:10001"]
    assert made["EXPOSE"] == ["8000"]
    assert json.loads(made["CMD"][0])[:3] == ["deployopt", "serve", "/srv/bundle"]
    assert "/health" in made["HEALTHCHECK"][0]
    assert f"'deployopt[serve]=={VERSION}'" in made["RUN"][0]
    assert (tmp_path / "out/.dockerignore").read_text() == "*\n!bundle\n!constraints.txt\n"
    assert any("--wheel" in text for text in result.todo)
    assert any("digest could not" in text for text in result.todo)


def test_a_wheel_of_this_version_goes_along(tmp_path: Path) -> None:
    bundle = served_bundle(tmp_path)
    result = export(bundle, tmp_path / "out", wheel=wheel(tmp_path / "w"))
    made = instructions(tmp_path / "out")
    assert f"/tmp/install/{NAME}[serve]" in made["RUN"][0]  # noqa: S108 -- in the image
    assert made["COPY"][0] == f"constraints.txt {NAME} /tmp/install/"
    assert (tmp_path / "out" / NAME).read_bytes() == (tmp_path / "w" / NAME).read_bytes()
    assert not any("--wheel" in text for text in result.todo)


@pytest.mark.parametrize("wrong", ["missing", "name", "inside", "bytes"])
def test_other_wheels_are_refused(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "w" / NAME
    if wrong == "name":
        path = wheel(tmp_path / "w", "deployopt-9-py3-none-any.whl")
    elif wrong == "inside":
        path = wheel(tmp_path / "w", inside="9")
    elif wrong == "bytes":
        path.parent.mkdir()
        path.write_bytes(b"PK")
    with pytest.raises(UsageError, match=f"--wheel {re.escape(str(path))} is"):
        export(served_bundle(tmp_path), tmp_path / "out", wheel=path)
    assert not (tmp_path / "out").exists()


def test_a_bundle_s_name_cannot_leave_its_place(tmp_path: Path) -> None:
    odd = 'a" $(id) ${HOME} \\'
    served_bundle(tmp_path, name="plain")
    text = export_named(tmp_path, odd)
    assert "$(" not in text
    assert "${HOME}" not in text
    assert 'title="a- -(id) --HOME- -"' in text


def export_named(folder: Path, name: str) -> str:
    """The Dockerfile of a bundle of that name."""
    request = ExportRequest(source=str(folder / "plain"), form="docker", output=folder / "o")
    served = open_served(request)
    manifest = replace(served.bundle.manifest, name=name)
    served = replace(served, bundle=replace(served.bundle, manifest=manifest))
    image = Image(
        served=served, requirements=("x",), pins=(), platform="linux/amd64", wheel=None, signed=True
    )
    return dockerfile(image)


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
@pytest.mark.parametrize("whole", [True, False])
def test_hadolint_finds_nothing(tmp_path: Path, whole: bool) -> None:  # noqa: FBT001
    given = {"wheel": wheel(tmp_path / "w")} if whole else {}
    runtime: RuntimeName = "onnxruntime" if whole else "openvino"
    export(served_bundle(tmp_path, runtime=runtime), tmp_path / "out", **given)
    assert ("openvino" in instructions(tmp_path / "out")["RUN"][0]) == (not whole)
    done = subprocess.run(
        [str(HADOLINT), "--no-color", tmp_path / "out/Dockerfile"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
