"""A bundle is read only when every byte is right."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.bundle import Lineage, LineageStep, Origin
from deployopt.core.codec import encode_pretty
from deployopt.core.errors import IntegrityError
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.verdict import Check, Outcome, Verdict
from deployopt.device.bundle_reader import open_bundle

Make = Callable[..., Path]


def test_a_whole_bundle_is_opened(make_bundle: Make) -> None:
    opened = open_bundle(make_bundle())
    assert opened.target.name == "here"
    assert [b.metric for b in opened.budgets] == ["accuracy_drop", "artifact_size"]
    assert opened.setup.model.is_absolute()
    deployed = opened.folder / "model/model.onnx", opened.folder / "tokenizer.json"
    assert opened.size_bytes == sum(path.stat().st_size for path in deployed)
    assert opened.gate is not None
    assert not opened.reduced_range()
    assert opened.predictions() == {}


def test_one_flipped_byte_is_refused(make_bundle: Make) -> None:
    bundle = make_bundle()
    path = bundle / "model/model.onnx"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=r"model/model\.onnx"):
        open_bundle(bundle)


def test_a_record_of_another_form_is_refused(make_bundle: Make) -> None:
    with pytest.raises(IntegrityError, match=r"target\.json"):
        open_bundle(make_bundle(**{"target.json": '{"name": 1}'}))


def test_predictions_come_from_their_file_or_from_the_verdict(make_bundle: Make) -> None:
    check = Check(
        metric="latency_p95",
        limit=0.06,
        outcome=Outcome.UNDECIDED,
        evidence=Evidence.PREDICTED,
        observed=0.03,
        lower=0.02,
        upper=0.05,
        confidence=0.8,
        reason="predicted",
    )
    verdict = Verdict(
        target="here",
        artifact="a" * 64,
        outcome=Outcome.UNDECIDED,
        provisional=True,
        checks=(check,),
    )
    opened = open_bundle(make_bundle(**{"verdict.json": encode_pretty(verdict).decode()}))
    assert opened.predictions()["latency_p95"].upper == 0.05


def test_predictions_have_a_file_of_their_own(make_bundle: Make) -> None:
    said = {"energy": Estimate(value=1.0, lower=0.5, upper=2.0, basis="datasheet")}
    opened = open_bundle(make_bundle(**{"predictions.json": encode_pretty(said).decode()}))
    assert opened.predictions() == said


def test_seven_bit_weights_are_told_by_the_lineage(make_bundle: Make) -> None:
    origin = Origin(asked="demo", resolved="demo")
    step = LineageStep(
        step="quantize",
        version=1,
        options='{"reduce_range":true}',
        tools={},
        source="a",
        result="b",
    )
    lineage = Lineage(model=origin, data=origin, recipe="int8", steps=(step,))
    opened = open_bundle(make_bundle(**{"lineage.json": encode_pretty(lineage).decode()}))
    assert opened.reduced_range()
