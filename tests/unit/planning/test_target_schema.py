"""The JSON Schema for editors accepts what the reader accepts."""

import json
import tomllib
from typing import Any

import pytest

from deployopt.planning.target_schema import target_schema
from deployopt.planning.targets import target_names, targets_folder

jsonschema = pytest.importorskip("jsonschema")


def tree(name: str) -> dict[str, Any]:
    return tomllib.loads((targets_folder() / f"{name}.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def validator() -> Any:
    kind = jsonschema.Draft202012Validator
    schema = json.loads(target_schema())
    kind.check_schema(schema)
    return kind(schema)


@pytest.mark.parametrize("name", target_names())
def test_every_shipped_profile_is_valid(validator: Any, name: str) -> None:
    assert list(validator.iter_errors(tree(name))) == []


@pytest.mark.parametrize(
    "change",
    [
        {"nam": "x"},
        {"name": "RPi 4"},
        {"budgets": {"latency": "60 ms"}},
        {"budgets": {"latency_p95": "60"}},
        {"budgets": {"latency_p95": "60 MiB"}},
        {"match": {"arch": "arm"}},
    ],
)
def test_a_wrong_one_is_not(validator: Any, change: dict[str, Any]) -> None:
    assert not validator.is_valid({**tree("rpi4"), **change})


def test_units_are_escaped_and_quantities_are_text(validator: Any) -> None:
    wrong = tree("rpi4")
    wrong["hardware"]["memory"] = 4
    assert not validator.is_valid(wrong)
    wrong["hardware"]["memory"] = "4 GB/s"
    assert not validator.is_valid(wrong)
    wrong["hardware"]["memory"] = "4 GB"
    assert validator.is_valid(wrong)
