"""A fine-tuning result follows its published schema and survives its JSON."""

import json

import jsonschema  # type: ignore[import-untyped]
import pytest

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.published import json_schema
from deployopt.core.training_result import FinetuneResult
from tests.fakes.training import finetune_result, tuned_result


@pytest.mark.parametrize("record", [finetune_result(), tuned_result()])
def test_it_follows_its_schema_and_comes_back(record: FinetuneResult) -> None:
    printed = encode_json(record)
    jsonschema.validate(json.loads(printed), json.loads(json_schema("finetune-result")))
    assert decode_json(printed, FinetuneResult, where="result") == record
