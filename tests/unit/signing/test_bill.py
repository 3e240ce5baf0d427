"""The bill of materials is CycloneDX, says what is known, and is the same for the same bundle."""

import json
from pathlib import Path
from typing import Any

import pytest

from deployopt.signing.sign import sign
from deployopt.store.paths import BILL, SIGNATURE
from tests.fakes.signed import COMMIT

pytest.importorskip("cyclonedx")

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


@pytest.fixture
def text(signed: Path) -> str:
    return (signed / SIGNATURE / BILL).read_text()


@pytest.fixture
def bill(text: str) -> Any:
    return json.loads(text)


def named(bill: Any) -> dict[str, Any]:
    return {part["bom-ref"]: part for part in bill["components"]}


def test_it_is_after_the_published_schema(text: str) -> None:
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert problem is None, str(problem)[:2000]
    broken = json.loads(text) | {"unknown": 1}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken)) is not None


def test_it_says_what_the_model_is_and_how_it_was_judged(bill: Any) -> None:
    model = bill["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == (
        "machine-learning-model",
        "sample",
        "3",
    )
    assert [part["name"] for part in model["components"]] == ["model/model.onnx"]
    properties = {entry["name"]: entry["value"] for entry in model["properties"]}
    assert properties["deployopt:target"] == "x86-cpu"
    assert properties["deployopt:recipe"] == "int8"
    card = model["modelCard"]
    assert card["modelParameters"]["datasets"] == [{"ref": "data"}]
    (metric,) = card["quantitativeAnalysis"]["performanceMetrics"]
    assert metric == {
        "type": "accuracy_drop",
        "value": "0.001",
        "slice": "measured:target",
        "confidenceInterval": {"upperBound": "0.008"},
    }


def test_it_says_what_it_was_made_from(bill: Any) -> None:
    parts = named(bill)
    origin = parts["origin"]
    assert origin["purl"] == f"pkg:huggingface/org/name@{COMMIT}"
    assert origin["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert origin["components"][0]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert parts["data"]["licenses"] == [{"license": {"name": "see the authors"}}]
    assert {entry["value"] for entry in parts["data"]["properties"]} == {"b" * 64}
    tools = {tool["bom-ref"] for tool in bill["metadata"]["tools"]["components"]}
    assert "tool/torch@2.13.0+cpu" in tools
    (needs,) = [found for found in bill["dependencies"] if found["ref"] == "model"]
    assert {"origin", "data", "package/onnxruntime", "package/numpy"} <= set(needs["dependsOn"])


def test_it_knows_no_time_and_is_the_same_again(signed: Path, keys: Path, tmp_path: Path) -> None:
    path = signed / SIGNATURE / BILL
    before = path.read_bytes()
    sign(signed, keys / "L", release_seq=3, store=tmp_path / "signers")
    assert path.read_bytes() == before
    assert b"timestamp" not in before
    sign(signed, keys / "L", release_seq=4, store=tmp_path / "signers")
    found = json.loads(path.read_bytes())
    assert found["serialNumber"] != json.loads(before)["serialNumber"]


def test_what_a_device_needs_is_said_as_the_package_declares_it(
    bundle: Path, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = [
        "numpy<3,>=1.26; python_version < '3.13'",
        "numpy<3,>=2.1; python_version >= '3.13'",
        "numpy-extras>=1",
        "psutil>=7; extra == 'dev'",
    ]
    monkeypatch.setattr("importlib.metadata.requires", lambda _: declared)
    sign(bundle, keys / "K", store=tmp_path / "signers")
    parts = named(json.loads((bundle / SIGNATURE / BILL).read_text()))
    (versions,) = parts["package/numpy"]["properties"]
    assert versions["value"] == (
        "<3,>=1.26; python_version < '3.13' or <3,>=2.1; python_version >= '3.13'"
    )
    assert "properties" not in parts["package/psutil"]
    assert parts["package/onnxruntime"]["properties"][0]["value"] == ">=1.20.1,<2"
