"""Count the operators of public nets for benchmarks/data/latency_models.toml.

    python tools/count_latency_models.py torchvision:resnet50@224 ultralytics:v8/yolov8.yaml:n@640

Prints one [[convolutional]] entry a net. The definitions come from the packages named, which are
wanted for this alone: nothing is downloaded or run, the nets hold no weights (torch's meta device).
Batch norms count as folded, ReLU-like activations as fused into what stands before them.
"""

import importlib
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Views, and what runtimes fold or fuse.
_FREE: Final = (
    "batch_norm", "native_batch", "relu", "clamp", "hardtanh", "view", "_unsafe_view", "expand",
    "slice", "select", "split", "chunk", "permute", "transpose", "t.", "detach", "unsqueeze",
    "squeeze", "reshape", "alias", "empty", "zeros", "ones", "arange", "full", "as_strided",
    "dropout", "_to_copy", "lift", "unbind", "stack",
)  # fmt: skip
_POINT: Final = (3, 3)


class Counting(TorchDispatchMode):  # type: ignore[misc] # torch is not followed
    """Adds up [multiply-adds, weights, values, operators] by kind while a net runs."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: dict[str, list[int]] = {}

    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 -- whatever torch's function gives
        """Run the function and count it."""
        out = function(*args, **(kwargs or {}))
        name = function.__name__
        if name.startswith("convolution"):
            self._convolution(args, out)
        elif name.startswith(("addmm", "mm.", "linear", "bmm", "baddbmm")):
            self._product(args, out, shared=not name.startswith("b"))
        elif "scaled_dot_product" in name:
            self._attention(args)
        elif not name.startswith(_FREE):
            moved = sum(t.numel() for t in (*_tensors(args), *_tensors((out,))))
            self._add("elementwise", 0, 0, moved)
        return out

    def _add(self, kind: str, macs: int, weights: int, values: int) -> None:
        counts = self.kinds.setdefault(kind, [0, 0, 0, 0])
        for at, more in enumerate((macs, weights, values, 1)):
            counts[at] += more

    def _convolution(self, args: tuple[Any, ...], out: torch.Tensor) -> None:
        values, kernel, stride, transposed, groups = args[0], args[1], args[3], args[6], args[8]
        window = tuple(kernel.shape[2:])
        if groups > 1:
            kind = "depthwise" if kernel.shape[1] == 1 else "conv"
        elif all(size == 1 for size in window):
            kind = "conv1x1"
        else:
            kind = "conv3x3" if window == _POINT and all(s == 1 for s in stride) else "conv"
        each = values.numel() if transposed else out.numel()
        macs = each * math.prod(kernel.shape[1:])
        self._add(kind, macs, kernel.numel(), values.numel() + out.numel())

    def _product(self, args: tuple[Any, ...], out: torch.Tensor, *, shared: bool) -> None:
        left, right = _tensors(args)[-2:]
        weights = right.numel() if shared else 0
        moved = left.numel() + out.numel() + (0 if shared else right.numel())
        self._add("gemm", out.numel() * left.shape[-1], weights, moved)

    def _attention(self, args: tuple[Any, ...]) -> None:
        query, key = args[0], args[1]
        scores = math.prod(query.shape[:-1]) * key.shape[-2]
        for _ in range(2):
            moved = query.numel() + key.numel() + scores
            self._add("gemm", scores * query.shape[-1], 0, moved)
        self._add("elementwise", 0, 0, 4 * scores)


def _tensors(values: tuple[Any, ...]) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [item for item in value if isinstance(item, torch.Tensor)]
    return found


def main() -> int:
    """Count what the command line names."""
    for asked in sys.argv[1:]:
        print(_entry(asked))
    return 0 if sys.argv[1:] else 2


def _entry(asked: str) -> str:
    where, _, size = asked.rpartition("@")
    package, _, name = where.partition(":")
    net = _BUILDERS[package](name).eval()
    counting = Counting()
    device = next(net.parameters()).device
    with torch.no_grad(), counting:
        net(torch.zeros(1, 3, int(size), int(size), device=device))
    parameters = sum(p.numel() for p in net.parameters())
    title = "".join(Path(part).stem for part in name.split(":"))
    kinds = "\n".join(
        f"{kind} = [{macs:.4g}, {weights:.4g}, {values:.4g}, {count}]"
        for kind, (macs, weights, values, count) in counting.kinds.items()
    )
    return (
        f'[[convolutional]]\nname = "{title}"\nsource = "{package}"\nimage = {size}\n'
        f"parameters = {parameters}\n[convolutional.kinds]\n{kinds}\n"
    )


def _torchvision(name: str) -> torch.nn.Module:
    with torch.device("meta"):
        return importlib.import_module("torchvision.models").get_model(name, weights=None)


def _timm(name: str) -> torch.nn.Module:
    with torch.device("meta"):
        return importlib.import_module("timm").create_model(name, pretrained=False)


def _ultralytics(name: str) -> torch.nn.Module:
    file, _, scale = name.partition(":")
    tasks = importlib.import_module("ultralytics.nn.tasks")
    root = Path(str(tasks.__file__)).parents[1] / "cfg" / "models"
    config = importlib.import_module("yaml").safe_load((root / file).read_text())
    net = tasks.DetectionModel(config | ({"scale": scale} if scale else {}), verbose=False)
    return net.eval().fuse(verbose=False)


_BUILDERS: Final[dict[str, Callable[[str], torch.nn.Module]]] = {
    "torchvision": _torchvision,
    "timm": _timm,
    "ultralytics": _ultralytics,
}

if __name__ == "__main__":
    sys.exit(main())
