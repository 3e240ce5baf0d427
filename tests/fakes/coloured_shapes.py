"""Pictures of one coloured shape each, as COCO data, and a tiny YOLOS that learns to find them."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

SIDE: Final = 32
LABELS: Final = ("circle", "square", "triangle")
PREPROCESSOR: Final = {
    "image_processor_type": "YolosImageProcessor",
    "size": {"height": SIDE, "width": SIDE},
    "do_pad": False,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def draw(random: np.random.Generator) -> tuple[Image.Image, tuple[int, int, int, int], int]:
    """A picture, the shape's left, top, width and height, and which one it is."""
    ground = tuple(int(x) for x in random.integers(0, 60, 3))
    picture = Image.new("RGB", (SIDE, SIDE), ground)
    pen = ImageDraw.Draw(picture)
    # In one of four corners, a little beside it: what a minute of training can learn.
    width, height = 12, 12
    corner = random.integers(0, 2, 2) * 16 + random.integers(1, 4, 2)
    left, top = (int(x) for x in corner)
    kind = int(random.integers(0, len(LABELS)))
    colour = tuple(int(random.integers(170, 256)) if at == kind else 40 for at in range(3))
    right, bottom = left + width - 1, top + height - 1
    if kind == 0:
        pen.ellipse((left, top, right, bottom), fill=colour)
    elif kind == 1:
        pen.rectangle((left, top, right, bottom), fill=colour)
    else:
        pen.polygon([(left + width // 2, top), (left, bottom), (right, bottom)], fill=colour)
    return picture, (left, top, width, height), kind


def write_coco(folder: Path, count: int, seed: int = 5) -> Path:
    """So many pictures in `images`, and `boxes.json` beside them."""
    random = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        picture, box, kind = draw(random)
        name = f"{number:05d}.png"
        picture.save(folder / "images" / name)
        images.append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
        annotations.append(
            {"id": number, "image_id": number, "category_id": kind + 1, "bbox": list(box)}
        )
    categories = [{"id": at, "name": label} for at, label in enumerate(LABELS, start=1)]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "boxes.json").write_text(json.dumps(whole))
    return folder


def write_yolos(folder: Path, steps: int, seed: int = 0) -> Path:
    """A model folder; with no steps the weights are random."""
    import torch
    from transformers import YolosConfig, YolosForObjectDetection

    torch.manual_seed(seed)
    config = YolosConfig(
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=96,
        image_size=[SIDE, SIDE],
        patch_size=8,
        initializer_range=0.08,
        num_detection_tokens=4,
        id2label=dict(enumerate(LABELS)),
        label2id={label: at for at, label in enumerate(LABELS)},
    )
    model = YolosForObjectDetection(config)
    if steps:
        _train(model, steps, seed)
    model.eval().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return folder


def _train(model: Any, steps: int, seed: int) -> None:
    import torch
    from torch.nn.functional import cross_entropy, one_hot

    pictures, wanted, kinds = drawn(3000, np.random.default_rng(seed + 1))
    places = model.config.num_detection_tokens
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    random = np.random.default_rng(seed)
    for _ in range(steps):
        rows = random.integers(0, len(pictures), 32)
        answer = model(torch.from_numpy(pictures[rows]))
        boxes, kind = torch.from_numpy(wanted[rows]), torch.from_numpy(kinds[rows])
        distance = (answer.pred_boxes - boxes[:, None]).abs().sum(-1)
        # Each kind has a place of its own, so that nothing is to be matched while it learns.
        chosen = one_hot(kind, places).bool()
        classes = torch.where(chosen, kind[:, None], len(LABELS))
        loss = cross_entropy(answer.logits.flatten(0, 1), classes.flatten())
        loss = loss + 10 * (distance * chosen).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def drawn(
    count: int, random: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Pictures as the model takes them, boxes as shares (centre, width, height), and kinds."""
    made = [draw(random) for _ in range(count)]
    pixels = np.stack([np.asarray(picture) for picture, _, _ in made]).transpose(0, 3, 1, 2)
    corners = np.asarray([box for _, box, _ in made]) / SIDE
    boxes = np.concatenate([corners[:, :2] + corners[:, 2:] / 2, corners[:, 2:]], axis=1)
    kinds = np.asarray([kind for _, _, kind in made], dtype=np.int64)
    shares = ((pixels / 255 - 0.5) / 0.5).astype(np.float32)
    return shares, boxes.astype(np.float32), kinds
