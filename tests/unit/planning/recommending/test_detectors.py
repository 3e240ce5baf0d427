"""Detectors are trained by their own packages."""

from collections.abc import Callable

from deployopt.catalogue.models import Entry, find_entry
from deployopt.core.memory import Method, Sharding, Training
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.commands import training_commands
from deployopt.planning.recommending.detectors import trainable
from deployopt.planning.recommending.run import Run


def run(entry: Entry, training: Training) -> Run:
    return Run(
        entry=entry,
        task=ModelTask.OBJECT_DETECTION,
        training=training,
        accumulation=4,
        epochs=30,
        learning_rate=5e-5,
        warmup_share=0.06,
        examples=20_000,
    )


def test_yolov8_by_ultralytics() -> None:
    training = Training(batch=8, devices=2, sharding=Sharding.DDP, method=Method.FREEZE)
    (line,) = training_commands(run(find_entry("yolov8m"), training))
    assert line == (
        "yolo detect train model=yolov8m.pt data=data.yaml epochs=30 batch=16 imgsz=640 "
        "optimizer=AdamW lr0=5e-05 warmup_epochs=2 patience=6 device=0,1 freeze=10 "
        "name=yolov8m-tuned"
    )


def test_yolox_by_its_own_tool() -> None:
    (line,) = training_commands(run(find_entry("yolox-m"), Training(batch=8)))
    assert line == (
        "python -m yolox.tools.train -f my_yolox_m.py -d 1 -b 8 --fp16 -o -c yolox_m.pth"
    )


def test_weights_to_start_from(entry: Callable[..., Entry]) -> None:
    assert trainable(entry())
    assert trainable(entry(repository=None, family="yolov8"))
    assert not trainable(entry(repository=None))
