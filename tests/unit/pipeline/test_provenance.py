"""The statement names every file that went in and came out, each step, and no time."""

import json

from msgspec.structs import replace

from deployopt.core.bundle import FileEntry
from deployopt.core.codec import encode_json
from deployopt.pipeline.provenance import PREDICATE, STATEMENT, provenance
from tests.fakes.signed import COMMIT, FILE, LINEAGE

ASKED = {"model": "distilbert", "target": "x86-cpu", "seed": 0}
SHIPPED = (
    FileEntry(path="tokenizer.json", size_bytes=1, sha256="2" * 64),
    FileEntry(path="model/model.onnx", size_bytes=1, sha256="1" * 64),
)


def test_it_is_a_slsa_statement_of_what_ships() -> None:
    found = json.loads(encode_json(provenance(ASKED, LINEAGE, SHIPPED)))
    assert (found["_type"], found["predicateType"]) == (STATEMENT, PREDICATE)
    assert found["subject"] == [
        {"name": "model/model.onnx", "digest": {"sha256": "1" * 64}},
        {"name": "tokenizer.json", "digest": {"sha256": "2" * 64}},
    ]
    # The fields that SLSA's own schema asks for.
    definition, run = found["predicate"]["buildDefinition"], found["predicate"]["runDetails"]
    assert definition["buildType"].startswith("https://")
    assert definition["externalParameters"] == ASKED
    assert run["builder"]["id"].startswith("https://")
    assert "metadata" not in run


def test_it_says_what_went_in_and_what_was_done() -> None:
    found = json.loads(encode_json(provenance(ASKED, LINEAGE, SHIPPED)))["predicate"]
    definition = found["buildDefinition"]
    commit, file = definition["resolvedDependencies"]
    assert commit["uri"] == f"hub:org/name@{COMMIT}"
    assert commit["digest"] == {"gitCommit": COMMIT}
    assert (file["name"], file["digest"]) == (FILE.path, {"sha256": FILE.sha256})
    assert file["annotations"]["role"] == "model"
    (step,) = definition["internalParameters"]["steps"]
    assert step["options"] == {"opset": 17}
    assert (step["source"], step["result"]) == ("c" * 64, "d" * 64)
    tools = found["runDetails"]["builder"]["builderDependencies"]
    assert tools == [{"uri": "pkg:pypi/torch@2.13.0%2Bcpu"}]


def test_without_data_and_off_the_hub() -> None:
    model = replace(LINEAGE.model, resolved="folder here")
    lineage = replace(LINEAGE, model=model, data=None)
    definition = provenance(ASKED, lineage, SHIPPED)["predicate"]
    found = json.loads(encode_json(definition))["buildDefinition"]["resolvedDependencies"]
    assert [entry["name"] for entry in found] == [FILE.path]
    assert found[0]["annotations"]["resolved"] == "folder here"
    assert "uri" not in found[0]


def test_order_does_not_count() -> None:
    one, other = (provenance(ASKED, LINEAGE, files) for files in (SHIPPED, SHIPPED[::-1]))
    assert encode_json(one) == encode_json(other)
