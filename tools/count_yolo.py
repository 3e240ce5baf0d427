"""Count the operators of YOLOX and YOLOv8 for one image, for the catalogue.

python -m tools.count_yolo             names what it can count
python -m tools.count_yolo yolox-s ... prints parameters, activations and operations

Arithmetic over the published networks' layers with COCO's 80 classes; that the parameters come out
as published shows that no layer is missing. Batch norms are folded into their convolutions where
they are run; their two parameters a channel count. A developer pastes the output into
deployopt/catalogue/models.toml.
"""

import sys
from typing import Final

import msgspec

from tools.layers import Node, convolution, elementwise, gmacs, toml, weights_of

CLASSES: Final = 80
_STAGES: Final = 4
_BOX_BINS: Final = 16  # YOLOv8 answers a distribution for each of a box's four sides


class Yolo(msgspec.Struct, frozen=True, kw_only=True):
    """Depth and width against the family's largest; `published` parameters check the count."""

    depth: float
    width: float
    side: int
    published: int
    widest: int = 1024
    """Channels that YOLOv8's last stage is cut to before the width counts."""


def unit(side: int, inner: int, outer: int, window: int = 3, stride: int = 1) -> list[Node]:
    """Convolution, batch norm and SiLU, which is a sigmoid and a product."""
    area = side * side * outer
    node = convolution(side, inner, outer, window, stride)
    norm = elementwise(0, outer)  # a norm has two a channel, one of them stands as the bias
    return [node, norm, elementwise(area), elementwise(area, inputs=2)]


def yolox_nodes(yolo: Yolo) -> list[Node]:
    """CSPDarknet, a path-aggregating neck and decoupled heads."""
    base, few, side = round(64 * yolo.width), max(round(3 * yolo.depth), 1), yolo.side // 2
    nodes = unit(side, 12, base)
    for stage, times in enumerate((few, 3 * few, 3 * few, few), start=1):
        side //= 2
        wide = base * 2**stage
        nodes += unit(side, wide // 2, wide, stride=2)
        if stage == _STAGES:
            nodes += unit(side, wide, wide // 2, 1) + _pools(side, wide // 2)
            nodes += unit(side, 2 * wide, wide, 1)
        nodes += _csp(side, wide, wide, times, summed=stage < _STAGES)
    return nodes + _yolox_neck(base, few, side) + _yolox_heads(base, side)


def _yolox_neck(base: int, few: int, side: int) -> list[Node]:
    small, middle, large = 4 * base, 8 * base, 16 * base
    return [
        *unit(side, large, middle, 1), *_csp(2 * side, large, middle, few),
        *unit(2 * side, middle, small, 1), *_csp(4 * side, middle, small, few),
        *unit(2 * side, small, small, stride=2), *_csp(2 * side, middle, middle, few),
        *unit(side, middle, middle, stride=2), *_csp(side, large, large, few),
    ]  # fmt: skip


def _yolox_heads(base: int, side: int) -> list[Node]:
    nodes, wide = [], 4 * base
    for level, times in enumerate((4, 2, 1)):
        at = times * side
        nodes += unit(at, wide * 2**level, wide, 1)
        nodes += [node for _ in range(4) for node in unit(at, wide, wide)]
        nodes += [convolution(at, wide, outer, 1) for outer in (CLASSES, 4, 1)]
    return nodes


def _csp(side: int, inner: int, outer: int, times: int, *, summed: bool = False) -> list[Node]:
    half = outer // 2
    nodes = unit(side, inner, half, 1) + unit(side, inner, half, 1) + unit(side, outer, outer, 1)
    for _ in range(times):
        nodes += unit(side, half, half, 1) + unit(side, half, half)
        nodes += [elementwise(side * side * half, inputs=2)] if summed else []
    return [*nodes, elementwise(side * side * outer)]


def _pools(side: int, width: int) -> list[Node]:
    return [elementwise(side * side * width) for _ in range(3)] + [
        elementwise(4 * side * side * width)
    ]


def yolov8_nodes(yolo: Yolo) -> list[Node]:
    """A backbone of C2f blocks, a path-aggregating neck and decoupled heads without anchors."""
    wide = [round(min(c, yolo.widest) * yolo.width) for c in (64, 128, 256, 512, 1024)]
    few, side = max(round(3 * yolo.depth), 1), yolo.side // 2
    nodes = unit(side, 3, wide[0], stride=2)
    for stage, times in enumerate((few, 2 * few, 2 * few, few), start=1):
        side //= 2
        nodes += unit(side, wide[stage - 1], wide[stage], stride=2)
        nodes += _c2f(side, wide[stage], wide[stage], times, summed=True)
    small, middle, large = wide[2:]
    nodes += unit(side, large, large // 2, 1) + _pools(side, large // 2)
    nodes += unit(side, 2 * large, large, 1)
    nodes += _c2f(2 * side, large + middle, middle, few) + _c2f(
        4 * side, middle + small, small, few
    )
    nodes += unit(2 * side, small, small, stride=2) + _c2f(2 * side, small + middle, middle, few)
    nodes += unit(side, middle, middle, stride=2) + _c2f(side, middle + large, large, few)
    return nodes + _yolov8_heads((small, middle, large), side)


def _yolov8_heads(wide: tuple[int, int, int], side: int) -> list[Node]:
    box, kinds = max(16, wide[0] // 4, 4 * _BOX_BINS), max(wide[0], min(CLASSES, 100))
    nodes: list[Node] = []
    for inner, times in zip(wide, (4, 2, 1), strict=True):
        at = times * side
        nodes += unit(at, inner, box) + unit(at, box, box)
        nodes += [convolution(at, box, 4 * _BOX_BINS, 1)]
        nodes += unit(at, inner, kinds) + unit(at, kinds, kinds)
        nodes += [convolution(at, kinds, CLASSES, 1)]
    return nodes


def _c2f(side: int, inner: int, outer: int, times: int, *, summed: bool = False) -> list[Node]:
    half = outer // 2
    nodes = unit(side, inner, outer, 1) + unit(side, (2 + times) * half, outer, 1)
    for _ in range(times):
        nodes += unit(side, half, half) + unit(side, half, half)
        nodes += [elementwise(side * side * half, inputs=2)] if summed else []
    return [*nodes, elementwise(side * side * (2 + times) * half)]


_SMALL: Final = 0.33
_MIDDLE: Final = 0.67
YOLOS: Final = {
    "yolox-tiny": Yolo(depth=_SMALL, width=0.375, side=416, published=5_055_855),
    "yolox-s": Yolo(depth=_SMALL, width=0.5, side=640, published=8_968_255),
    "yolox-m": Yolo(depth=_MIDDLE, width=0.75, side=640, published=25_326_495),
    "yolov8n": Yolo(depth=_SMALL, width=0.25, side=640, published=3_157_200),
    "yolov8s": Yolo(depth=_SMALL, width=0.5, side=640, published=11_166_560),
    "yolov8m": Yolo(depth=_MIDDLE, width=0.75, side=640, published=25_902_640, widest=768),
}


def lines(alias: str) -> str:
    """The lines of an entry, with the sum as a comment."""
    yolo = YOLOS[alias]
    is_x = alias.startswith("yolox")
    nodes = yolox_nodes(yolo) if is_x else yolov8_nodes(yolo)
    parameters = weights_of(nodes) + (0 if is_x else _BOX_BINS)  # weights that number the bins
    if parameters != yolo.published:
        raise SystemExit(f"{alias}: {parameters} parameters, not {yolo.published}")
    run = [node for node in nodes if node.values]
    note = f"{alias}: {gmacs(run)} GMAC at {yolo.side} x {yolo.side}"
    return toml(note, parameters, run)


def main(names: list[str]) -> int:
    """Print what was counted; without names, what can be."""
    unknown = [name for name in names if name not in YOLOS]
    if unknown or not names:
        print(f"{', '.join(unknown)}\n" if unknown else __doc__, file=sys.stderr)
        print(*YOLOS, sep="\n")
        return 2
    for name in names:
        print(lines(name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
