"""A build whose winner runs on OpenVINO: tried, judged, published, verified, asked."""

import json
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.bundle import Manifest
from deployopt.core.codec import decode_json
from deployopt.device.run import Predictor
from deployopt.pipeline import preparing
from deployopt.pipeline.recipes import Form, forms_for
from tests.functional.conftest import Done, Invoke

pytestmark = pytest.mark.openvino


@pytest.fixture(scope="module")
def target(here: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This machine, with both runtimes allowed."""
    path = tmp_path_factory.mktemp("targets") / "both.toml"
    text = here.read_text("utf-8")
    assert "[runtime]\n" in text
    path.write_text(
        text.replace("[runtime]\n", '[runtime]\nruntimes = ["onnxruntime", "openvino"]\n')
    )
    return path


@pytest.fixture(scope="module")
def done(
    invoke: Invoke, target: Path, mlp: Path, arrays: Path, tmp_path_factory: pytest.TempPathFactory
) -> Done:
    """Built of OpenVINO's forms alone, so that one of them wins on any machine."""
    folder = tmp_path_factory.mktemp("built")

    def theirs(*given: object, **more: bool) -> tuple[Form, ...]:
        forms = forms_for(*given, **more)  # type: ignore[arg-type]
        assert [form.name for form in forms] == ["float", "int8", "openvino", "openvino-int8"]
        return forms[2:]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "forms_for", theirs)
        return invoke(
            "build", "-t", target, "-m", mlp, "-d", arrays, "-o", folder / "mlp", "--store",
            folder / "store", "--json",
        )  # fmt: skip


def test_it_is_published_with_its_runtime(done: Done) -> None:
    assert done.code in {0, 3}, done.err
    tried = {one["recipe"]: one for one in done.json["candidates"]}
    assert set(tried) == {"openvino", "openvino-int8"}
    assert [one["failure"] for one in tried.values()] == [None, None]
    assert (tried["openvino"]["precision"], tried["openvino-int8"]["precision"]) == ("fp32", "int8")
    bundle = Path(done.json["bundle"])
    manifest = decode_json((bundle / "manifest.json").read_bytes(), Manifest, where="manifest")
    assert (manifest.runtime, manifest.opset) == ("openvino", 0)
    assert set(manifest.deployed) == {"model/model.xml", "model/model.bin"}
    lineage = json.loads((bundle / "lineage.json").read_bytes())
    assert "openvino" in lineage["steps"][-1]["tools"]
    assert str(Path.home()) not in (bundle / "model/model.xml").read_text("utf-8")


def test_it_is_verified_and_answers(done: Done, invoke: Invoke, arrays: Path) -> None:
    bundle = Path(done.json["bundle"])
    verified = invoke("verify", bundle, "--json")
    assert verified.code in {0, 3}, verified.err
    assert verified.json["verdict"]["artifact"] == done.json["verdict"]["artifact"]
    assert "openvino" in verified.json["machine"]["packages"]
    with np.load(arrays) as given:
        name = given.files[0]
        (found,) = Predictor.open(bundle).predict([given[name][:1]])
    assert found.outputs is not None
