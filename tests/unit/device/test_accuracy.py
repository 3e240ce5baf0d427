"""The accuracy run and the paired count, with a real child."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.errors import DeviceError, IntegrityError, UsageError
from deployopt.core.evidence import Evidence
from deployopt.core.examples import Examples, encode_examples
from deployopt.core.interface import ArrayInput, ArrayInputs, Interface, Task
from deployopt.core.measurement import Split
from deployopt.core.pairs import captioned_example
from deployopt.core.samples import Feed
from deployopt.core.workload import Workload
from deployopt.device.accuracy import (
    Evaluation,
    Judged,
    annotations,
    compare_with_reference,
    evaluate,
    timing_inputs,
)
from deployopt.device.device import ThisMachine
from deployopt.device.reference import Reference, reference_of
from deployopt.device.session import open_session
from deployopt.device.setup import EvaluationSet, Setup
from deployopt.sources.folder import read_folder
from tests.fakes.clip_folder import write_clip_folder


def _judged(interface: Interface, labels: tuple[int, ...] | None) -> Judged:
    return Judged(
        artifact="a" * 64,
        split=Split.GATE,
        evidence=Evidence.TARGET,
        interface=interface,
        labels=labels,
    )


def _evaluation(classes: list[int], non_finite: int = 0) -> Evaluation:
    logits = [{"logits": np.eye(2, dtype=np.float32)[[c]]} for c in classes]
    return Evaluation(
        outputs=tuple(logits),
        examples=len(classes),
        non_finite=non_finite,
        peak_rss_bytes=0,
        base_rss_bytes=0,
        seconds=0.0,
    )


def test_a_fresh_child_answers_every_example_and_leaves_nothing(
    text_setup: Setup, text_data: EvaluationSet, tmp_path: Path
) -> None:
    signs: list[float] = []
    before = sorted(tmp_path.iterdir())
    evaluation = evaluate(
        text_setup,
        text_data,
        tmp_path,
        ThisMachine(),
        progress=lambda share, _: signs.append(share),
    )
    assert evaluation.examples == len(evaluation.outputs) == 120
    assert evaluation.non_finite == 0
    assert evaluation.peak_rss_bytes > evaluation.base_rss_bytes > 2**20
    assert all(0 <= share <= 1 for share in signs)
    assert sorted(tmp_path.iterdir()) == before


def test_the_answers_are_the_session_s_own(
    text_setup: Setup, text_data: EvaluationSet, tmp_path: Path
) -> None:
    evaluation = evaluate(text_setup, text_data, tmp_path, ThisMachine())
    inputs = timing_inputs(text_data, evaluation, most=20)
    assert inputs.expected is not None
    assert len(inputs.feeds) == len(inputs.expected) == 20
    session = open_session(text_setup)
    for feed, expected in zip(inputs.feeds, inputs.expected, strict=True):
        np.testing.assert_array_equal(session.run(["logits"], feed)[0], expected["logits"])
    others = timing_inputs(text_data, evaluation, seed=1, most=20).feeds
    assert [f["input_ids"].tolist() for f in others] != [
        f["input_ids"].tolist() for f in inputs.feeds
    ]


def test_batches_give_one_answer_an_example_and_timing_takes_full_ones(
    text_setup: Setup, text_data: EvaluationSet, tmp_path: Path
) -> None:
    data = msgspec.structs.replace(text_data, workload=Workload(batch=7))
    evaluation = evaluate(text_setup, data, tmp_path, ThisMachine())
    assert (len(evaluation.outputs), evaluation.examples) == (18, 120)
    reference = reference_of(data.interface, evaluation.outputs)
    assert len(reference) == 120
    assert {len(f["input_ids"]) for f in timing_inputs(data, evaluation).feeds} == {7}


def test_right_and_wrong_are_counted_in_pairs(interface: Interface) -> None:
    reference = Reference(classes=np.array([0, 0, 1, 1, 0]))
    trial = compare_with_reference(
        _judged(interface, (0, 0, 0, 0, 1)), reference, _evaluation([0, 1, 0, 1, 0])
    )
    counts = (trial.both_right, trial.lost, trial.gained, trial.both_wrong)
    assert counts == (1, 1, 1, 2)
    assert trial.labelled


def test_without_labels_disagreement_is_loss(interface: Interface) -> None:
    reference = Reference(classes=np.array([0, 0, 1]))
    trial = compare_with_reference(_judged(interface, None), reference, _evaluation([0, 1, 1]))
    assert (trial.both_right, trial.lost, trial.gained) == (2, 1, 0)
    assert not trial.labelled


def test_not_a_number_is_never_right(interface: Interface) -> None:
    evaluation = msgspec.structs.replace(
        _evaluation([0], 1),
        outputs=({"logits": np.array([[np.nan, 0]], dtype=np.float32)},),
    )
    reference = Reference(classes=np.array([-1]))
    trial = compare_with_reference(_judged(interface, None), reference, evaluation)
    assert (trial.lost, trial.non_finite) == (1, 1)


def test_pairs_are_judged_by_who_finds_whom(tmp_path: Path) -> None:
    interface = read_folder(write_clip_folder(tmp_path / "clip")).interface
    captions = ("a cat", "a dog", "a photo")

    def embedded(images: list[list[float]]) -> tuple[Feed, ...]:
        return tuple(
            {
                "image_embeds": np.array([image], np.float32),
                "text_embeds": np.eye(3, dtype=np.float32)[[at]],
                "logits_per_image": np.zeros((1, 1), np.float32),
            }
            for at, image in enumerate(images)
        )

    reference = Reference(results=embedded([[1, 0, 0], [0, 1, 0], [0, 1, 0.5]]))
    here = embedded([[1, 0, 0], [1, 0.5, 0], [0, 0, 1]])
    evaluation = msgspec.structs.replace(_evaluation([0, 0, 0]), outputs=here)
    judged = msgspec.structs.replace(_judged(interface, None), truth=captions)
    trial = compare_with_reference(judged, reference, evaluation)
    assert trial.recall is not msgspec.UNSET
    # In each two of three images find their texts, and every text its image.
    assert list(trial.recall.image_to_text) == pytest.approx([2 / 3, 2 / 3])
    assert list(trial.recall.text_to_image) == [1.0, 1.0]
    assert (trial.examples, trial.lost, trial.gained, trial.recall.unlike) == (3, 1, 1, 2)
    assert trial.labelled
    with pytest.raises(IntegrityError, match="not of the same data"):
        compare_with_reference(
            msgspec.structs.replace(judged, truth=captions[:2]), reference, evaluation
        )


def test_captions_are_read_from_the_split(tmp_path: Path) -> None:
    interface = read_folder(write_clip_folder(tmp_path / "clip")).interface
    pixels = np.zeros((2, 2, 3), np.uint8)
    examples = Examples(
        inputs=[captioned_example(pixels, one) for one in ("a cat", "a dog")], labels=None
    )
    suffix, content = encode_examples(examples)
    (tmp_path / f"gate{suffix}").write_bytes(content)
    assert annotations(interface, tmp_path / f"gate{suffix}") == ("a cat", "a dog")


def test_other_data_is_refused(interface: Interface) -> None:
    with pytest.raises(IntegrityError, match="not of the same data"):
        compare_with_reference(
            _judged(interface, None), Reference(classes=np.array([0])), _evaluation([0, 1])
        )
    with pytest.raises(IntegrityError):
        compare_with_reference(
            _judged(interface, (0,)), Reference(classes=np.array([0, 1])), _evaluation([0, 1])
        )


def _log_set(tmp_path: Path, values: list[float]) -> EvaluationSet:
    inputs = [{"x": np.full((1, 2), v, dtype=np.float32)} for v in values]
    suffix, data = encode_examples(Examples(inputs=inputs, labels=None))
    path = tmp_path / f"log{suffix}"
    path.write_bytes(data)
    return EvaluationSet(
        interface=Interface(
            task=Task.ANY,
            inputs=ArrayInputs(inputs=(ArrayInput(name="x", dtype="float32", shape=("n", 2)),)),
            outputs=("y",),
        ),
        folder=tmp_path,
        examples=path,
    )


def test_outputs_that_are_not_finite_are_counted_by_example(tmp_path: Path, assets: Path) -> None:
    data = _log_set(tmp_path, [1.0, -1.0, 2.0, 0.0])
    setup = Setup(artifact="a" * 64, model=assets / "log.onnx", threads=1)
    one = evaluate(setup, data, tmp_path, ThisMachine())
    assert one.non_finite == 2
    batched = msgspec.structs.replace(data, workload=Workload(batch=4))
    assert evaluate(setup, batched, tmp_path, ThisMachine()).non_finite == 2
    trial = compare_with_reference(
        _judged(data.interface, None), reference_of(data.interface, one.outputs), one
    )
    assert (trial.examples, trial.both_right, trial.lost, trial.non_finite) == (4, 2, 2, 2)


def test_what_fails_in_the_child_keeps_its_kind(
    text_setup: Setup, text_data: EvaluationSet, tmp_path: Path, assets: Path
) -> None:
    with pytest.raises(IntegrityError, match="opset 99"):
        evaluate(
            msgspec.structs.replace(text_setup, model=assets / "future.onnx"),
            text_data,
            tmp_path,
            ThisMachine(),
        )
    with pytest.raises(IntegrityError, match="no output 'scores'"):
        evaluate(
            msgspec.structs.replace(text_setup, outputs=("scores",)),
            text_data,
            tmp_path,
            ThisMachine(),
        )
    with pytest.raises(UsageError, match="takes text"):
        evaluate(
            text_setup,
            msgspec.structs.replace(text_data, examples=_log_set(tmp_path, [1.0]).examples),
            tmp_path,
            ThisMachine(),
        )
    with pytest.raises(DeviceError, match="onnxruntime failed"):
        evaluate(
            msgspec.structs.replace(text_setup, model=assets / "image.onnx"),
            text_data,
            tmp_path,
            ThisMachine(),
        )
