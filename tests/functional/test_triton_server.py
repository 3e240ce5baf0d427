"""A model repository in Triton itself; by hand, as no package of every backend is to be had.

    pip download --no-deps nvidia-pytriton==0.7.0 && unzip -d TRITON nvidia_pytriton-*.whl
    python3.11 -m venv VENV && VENV/bin/pip install 'numpy<2' tokenizers onnxruntime
    DEPLOYOPT_TRITON=TRITON DEPLOYOPT_TRITON_VENV=VENV pytest -m long THIS_FILE

That wheel holds Triton's server (2.51.0) with its Python backend alone, for numpy 1: the model
itself is opened by the same parameters there, and all else is what `export` wrote.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from deployopt.core.workload import Workload
from deployopt.device.run import Predictor
from tests.fakes.served import IMAGE, TEXTS, served_bundle, target_of
from tests.functional.conftest import invoke_here

pytestmark = pytest.mark.long
MODEL = """
import json
from pathlib import Path
import onnxruntime
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        told = {key: value["string_value"] for key, value in config["parameters"].items()}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(told["intra_op_thread_count"])
        options.inter_op_num_threads = int(told["inter_op_thread_count"])
        self.session = onnxruntime.InferenceSession(Path(__file__).with_name("model.onnx"), options)
        self.taken = [one["name"] for one in config["input"]]
        self.given = [one["name"] for one in config["output"]]

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        read = pb_utils.get_input_tensor_by_name
        feed = {name: read(request, name).as_numpy() for name in self.taken}
        arrays = self.session.run(self.given, feed)
        tensors = [pb_utils.Tensor(*pair) for pair in zip(self.given, arrays)]
        return pb_utils.InferenceResponse(tensors)
"""


def place(name: str) -> Path:
    named = os.environ.get(name)
    if not named:
        pytest.skip(f"{name} names no folder; see the top of this file")
    return Path(named).resolve()


@contextlib.contextmanager
def triton(repository: Path) -> Iterator[str]:
    """A running server's address."""
    folder, venv = place("DEPLOYOPT_TRITON"), place("DEPLOYOPT_TRITON_VENV")
    server = folder / "pytriton/tritonserver"
    backend = repository.parent / "backends/python"
    shutil.copytree(server / "backends/python", backend)
    shutil.copy(server / "python_backend_stubs/3.11/triton_python_backend_stub", backend)
    for program in (server / "bin/tritonserver", backend / "triton_python_backend_stub"):
        program.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (repository.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                server / "bin/tritonserver", f"--model-repository={repository}",
                f"--backend-directory={backend.parent}", f"--http-port={port}",
                "--allow-grpc=false", "--allow-metrics=false", "--exit-timeout-secs=3",
            ],
            env={
                "PATH": f"{venv}/bin:/usr/bin:/bin",
                "LD_LIBRARY_PATH": f"{folder}/nvidia_pytriton.libs:/usr/lib/x86_64-linux-gnu",
            },
            stderr=log,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}/v2"
        for _ in range(120):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/health/ready").read()  # noqa: S310 -- our own
                break
            if process.poll() is not None:
                break
            time.sleep(0.5)
        else:
            pytest.fail("it is not ready")
        if process.poll() is not None:
            pytest.fail((repository.parent / "log").read_text()[-3000:])
        yield address
    finally:
        process.terminate()
        process.wait()


def ask(address: str, model: str, given: npt.NDArray[Any]) -> dict[str, Any]:
    """The outputs by name, or the error."""
    name, kind = ("IMAGE", "UINT8") if given.dtype == np.uint8 else ("TEXT", "BYTES")
    tensor = {"name": name, "datatype": kind, "shape": given.shape, "data": given.ravel().tolist()}
    data = json.dumps({"inputs": [tensor]}).encode()
    try:
        with urllib.request.urlopen(f"{address}/models/{model}/infer", data) as answer:  # noqa: S310
            found = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return dict(json.loads(error.read()))
    return {one["name"]: one["data"] for one in found["outputs"]}


def repository_of(bundle: Path) -> Path:
    """As `export` writes it, but for the backend of the model itself."""
    repository = bundle.parent / "repository"
    assert invoke_here("export", bundle, repository, "--as", "triton").code == 0
    config = repository / "sample/config.pbtxt"
    text = config.read_text().replace('backend: "onnxruntime"', 'backend: "python"')
    config.write_text(text.replace('default_model_filename: "model.onnx"\n', ""))
    (repository / "sample/1/model.py").write_text(MODEL)
    return repository


def test_texts_are_answered_as_the_bundle_does(tmp_path: Path) -> None:
    bundle = served_bundle(tmp_path)
    with triton(repository_of(bundle)) as address:
        for given, wanted in zip(TEXTS, Predictor.open(bundle).predict(TEXTS), strict=True):
            found = ask(address, "sample_ensemble", np.array([[given]]))
            assert found["LABEL"] == [wanted.label]
            assert found["PROBABILITIES"] == pytest.approx(list(wanted.scores.values()), abs=1e-12)
        many = ask(address, "sample_ensemble", np.array([["a"], ["b"]]))
        assert "batch-size must be <= 1" in many["error"]


def test_images_in_batches(tmp_path: Path) -> None:
    bundle = served_bundle(tmp_path, IMAGE, target=target_of(Workload(batch=2)))
    images = np.random.default_rng(1).integers(0, 256, (2, 40, 23, 3), dtype=np.uint8)
    with triton(repository_of(bundle)) as address:
        found = ask(address, "sample_ensemble", images)
    wanted = Predictor.open(bundle).predict(list(images))
    assert found["LABEL"] == [one.label for one in wanted]
    shares = [share for one in wanted for share in one.scores.values()]
    assert found["PROBABILITIES"] == pytest.approx(shares, abs=1e-6)
