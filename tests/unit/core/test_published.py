"""Published schemas are fresh, and what is printed follows them."""

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.published import RESULTS, json_schema
from deployopt.core.result import BuildResult, ErrorResult, VerifyResult
from tests.fakes import results

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", RESULTS)
def test_the_published_schema_is_fresh(name: str) -> None:
    published = (DOCS / f"{name}.schema.json").read_bytes()
    fresh = _in_order(json.loads(json_schema(name)))
    assert _in_order(json.loads(published)) == fresh, f"write json_schema({name!r}) to docs/"


def _in_order(schema: Any) -> Any:
    """With alternatives sorted: versions of msgspec name them in another order."""
    if isinstance(schema, dict):
        return {key: _in_order(value) for key, value in schema.items()}
    if isinstance(schema, list):
        return sorted((_in_order(one) for one in schema), key=json.dumps)
    return schema


@pytest.mark.parametrize(
    ("name", "record"),
    [
        *(("build-result", results.build_result(w)) for w in ("accepted", "rejected")),
        ("build-result", results.build_result("provisional")),
        ("build-result", results.build_result("undecided")),
        ("build-result", results.cannot_fit()),
        ("build-result", results.no_labels()),
        ("build-result", results.one_candidate()),
        ("build-result", results.many()),
        ("verify-result", results.verify_result()),
        ("plan-result", results.plan_result()),
        ("error-result", ErrorResult(error="UsageError", message="x", exit_code=2)),
        ("verdict", results.verdict("rejected")),
    ],
)
def test_what_is_printed_follows_its_schema(name: str, record: msgspec.Struct) -> None:
    printed = json.loads(encode_json(record))
    schema = json.loads(json_schema(name))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(printed, schema)
    assert printed["schema_version"] == 1
    printed["schema_version"] = "one"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(printed, schema)


def test_a_result_survives_its_json() -> None:
    for record in (results.many(), results.cannot_fit()):
        assert decode_json(encode_json(record), BuildResult, where="result") == record
    found = results.verify_result()
    assert decode_json(encode_json(found), VerifyResult, where="result") == found


def test_the_chosen_candidate() -> None:
    chosen = results.build_result().chosen
    assert chosen is not None
    assert chosen.recipe == "int8-dynamic"
    assert results.cannot_fit().chosen is None
