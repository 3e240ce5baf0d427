"""EfficientNet-Lite0 of the tensors that its package holds, as an ONNX graph.

In: the state dict as safetensors, under the names of the PyTorch port. Out: `model.onnx`, pixels
`[batch, 3, 224, 224]` to 1,000 logits, checked against torch. Refuses tensors of other names or
shapes. No squeeze-and-excitation, ReLU6, and stem and head of fixed width make it the lite one.

Source of the structure: Tan and Le, arXiv 1905.11946, table 1, with the changes of TensorFlow's
page of EfficientNet-Lite; `SAME` padding falls to the right and below first, as TensorFlow's does.
"""

from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from deployopt.core.errors import RefusedInputError
from deployopt.modeling.exporting import ExportOptions
from deployopt.modeling.modules import export_module

INPUT: Final = "pixel_values"
SIDE: Final = 224
CLASSES: Final = 1000
_STEM, _HEAD, _EPSILON = 32, 1280, 1e-3
_STAGES: Final = (
    # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class _Same(nn.Conv2d):  # type: ignore[misc] # torch is not followed
    """A convolution whose output has ceil(side / stride) pixels a side, without bias."""

    def __init__(self, taken: int, given: int, kernel: int, *, side: int, stride: int = 1) -> None:
        depthwise = taken if taken == given and kernel > 1 else 1
        super().__init__(taken, given, kernel, stride, groups=depthwise, bias=False)
        lacking = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        before = lacking // 2
        self.around = nn.ZeroPad2d((before, lacking - before) * 2)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pad, then convolve."""
        answer: Tensor = super().forward(self.around(pixels))
        return answer


class _Block(nn.Module):  # type: ignore[misc] # torch is not followed
    """Widen, filter each channel, narrow; added to what came in where the shape is the same."""

    def __init__(self, taken: int, given: int, form: tuple[int, int, int], side: int) -> None:
        super().__init__()
        kernel, stride, expansion = form
        wide = taken * expansion
        self.adds = stride == 1 and taken == given
        if expansion > 1:
            self._expand_conv = _Same(taken, wide, 1, side=side)
            self._bn0 = nn.BatchNorm2d(wide, eps=_EPSILON)
        self.widens = expansion > 1
        self._depthwise_conv = _Same(wide, wide, kernel, side=side, stride=stride)
        self._bn1 = nn.BatchNorm2d(wide, eps=_EPSILON)
        self._project_conv = _Same(wide, given, 1, side=-(-side // stride))
        self._bn2 = nn.BatchNorm2d(given, eps=_EPSILON)
        self.cut = nn.ReLU6()

    def forward(self, inputs: Tensor) -> Tensor:
        """`[batch, channels, side, side]` to the same of the block's own channels."""
        wide = self.cut(self._bn0(self._expand_conv(inputs))) if self.widens else inputs
        narrow: Tensor = self._bn2(
            self._project_conv(self.cut(self._bn1(self._depthwise_conv(wide))))
        )
        return narrow + inputs if self.adds else narrow


class EfficientNetLite0(nn.Module):  # type: ignore[misc] # torch is not followed
    """The network; its parts are named as in the package."""

    def __init__(self) -> None:
        super().__init__()
        side = SIDE // 2
        self._conv_stem = _Same(3, _STEM, 3, side=SIDE, stride=2)
        self._bn0 = nn.BatchNorm2d(_STEM, eps=_EPSILON)
        blocks, channels = [], _STEM
        for repeats, kernel, first, expansion, given in _STAGES:
            for at in range(repeats):
                stride = first if at == 0 else 1
                blocks.append(_Block(channels, given, (kernel, stride, expansion), side))
                channels, side = given, -(-side // stride)
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _Same(channels, _HEAD, 1, side=side)
        self._bn1 = nn.BatchNorm2d(_HEAD, eps=_EPSILON)
        self._fc = nn.Linear(_HEAD, CLASSES)
        self.cut = nn.ReLU6()

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Logits `[batch, 1000]`."""
        seen = self.cut(self._bn0(self._conv_stem(pixel_values)))
        for block in self._blocks:
            seen = block(seen)
        seen = self.cut(self._bn1(self._conv_head(seen)))
        answer: Tensor = self._fc(seen.mean(dim=(2, 3)))
        return answer


def export_efficientnet_lite(weights: Path, destination: Path, options: ExportOptions) -> None:
    """Write the graph of these weights.

    Raises:
        RefusedInputError: the tensors are not those of EfficientNet-Lite0.
        StepError: the graph does not say what torch says.
    """
    network = EfficientNetLite0()
    try:
        network.load_state_dict(load_file(weights))
    except RuntimeError as error:
        raise RefusedInputError(f"{weights.name} is no EfficientNet-Lite0: {error}.") from error
    example = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    export_module(network.eval(), {INPUT: example}, destination, options)
