"""RT-DETR end to end: a tiny one that has learnt, whose places are ranked by their scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pycocotools")
from deployopt.core.samples import Feed
from deployopt.graph.attaching import attach_weights
from deployopt.modeling.exporting import ExportOptions, export_folder
from deployopt.modeling.threads import torch_threads
from deployopt.sources.folder import read_folder
from tests.fakes.coloured_shapes import LABELS, write_coco
from tests.fakes.shapes_by_rank import write_rt_detr
from tests.functional.conftest import Done, Invoke, check_schema

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and its data."""
    folder = tmp_path_factory.mktemp("ranked")
    with torch_threads(1):
        write_rt_detr(folder / "model", steps=400)
    write_coco(folder / "data", 450)
    return folder


@pytest.fixture(scope="module")
def ranked_build(invoke: Invoke, shapes: Path) -> Done:
    return invoke(
        "build", "-t", "rpi4", "-m", shapes / "model", "-d", shapes / "data", "-o", shapes / "out",
        "--store", shapes / "store", "-b", "map_drop=3pt", "--json",
    )  # fmt: skip


def test_it_is_judged_by_its_map(ranked_build: Done) -> None:
    found = ranked_build.json
    check_schema("build-result", found)
    assert found["verdict"]["provisional"] is True, ranked_build.err
    checks = {check["metric"]: check for check in found["verdict"]["checks"]}
    assert checks["map_drop"]["outcome"] == "accepted"
    assert abs(checks["map_drop"]["observed"]) < 0.02
    # What it finds is worth judging: chance has next to nothing.
    assert found["gate"]["trial"]["precision"]["reference"] > 0.5


def test_run_finds_what_transformers_finds(
    invoke: Invoke, ranked_build: Done, shapes: Path
) -> None:
    import torch
    import transformers
    from PIL import Image

    assert ranked_build.code == 3
    model = transformers.RTDetrForObjectDetection.from_pretrained(shapes / "model").eval()
    processor = transformers.RTDetrImageProcessorPil.from_pretrained(shapes / "model")
    seen = 0
    for path in sorted((shapes / "data" / "images").iterdir())[:8]:
        # Of another shape than the model's, so that resizing is in it.
        larger = shapes / f"larger-{path.name}"
        Image.open(path).resize((75, 50)).save(larger)
        image = Image.open(larger).convert("RGB")
        with torch.inference_mode():
            answer = model(**processor(images=image, return_tensors="pt"))
        (wanted,) = processor.post_process_object_detection(
            answer, threshold=0.3, target_sizes=[(image.height, image.width)]
        )
        (found,) = invoke("run", shapes / "out.provisional", "--image", larger, "--json").json
        boxes = found["boxes"]
        assert [one["label"] for one in boxes] == [LABELS[at] for at in wanted["labels"]]
        corners = [[one[side] for side in ("left", "top", "right", "bottom")] for one in boxes]
        limits = np.array([75, 50, 75, 50])
        expected = np.clip(wanted["boxes"].numpy().reshape(-1, 4), 0, limits)
        # The bundle may hold int8, which answers nearly the same.
        np.testing.assert_allclose(np.reshape(corners, (-1, 4)), expected, atol=2.0)
        scores = [one["score"] for one in boxes]
        np.testing.assert_allclose(scores, wanted["scores"], atol=0.1)
        seen += len(boxes)
    assert seen >= 6


@pytest.mark.parametrize(
    ("version", "options"),
    [
        ("", {}),
        ("", {"anchor_image_size": [64, 64]}),
        ("V2", {}),
        ("V2", {"decoder_method": "discrete"}),
    ],
)
def test_places_that_tie_are_no_difference(
    tmp_path: Path, version: str, options: dict[str, Any]
) -> None:
    # Untrained, every place has the same score to the last bit.
    folder = write_rt_detr(tmp_path / "model", 0, version=version, side=64, **options)
    interface = read_folder(folder).interface
    assert interface.boxes
    assert (interface.boxes.scores, interface.boxes.most) == ("sigmoid", 9)
    random = np.random.default_rng(0)
    images: list[Feed] = [
        {"pixel_values": random.random((1, 3, 64, 64)).astype(np.float32)} for _ in range(3)
    ]
    path = tmp_path / "model.onnx"
    assert (
        export_folder(folder, interface, path, ExportOptions(attach=attach_weights), images) < 1e-4
    )
