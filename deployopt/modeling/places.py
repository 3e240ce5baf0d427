"""A detector's places in one order, whatever order two runtimes rank them in.

In: what the model and its graph answer. Out: the graph's places in the model's order, scores and
boxes together. Some detectors (RT-DETR) answer for the best-scored places of an image, best first:
where two scores are equal but for rounding either may come first, and the answer is the same set.
Where they are equal to the last bit, which ones are kept is the lowest in ONNX (TopK's text) and
left open in torch; FirstOfEquals has torch keep those too. Nothing is refused here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.overrides import TorchFunctionMode

from deployopt.core.samples import Array

_SAME: Final = 1e-5
_RANK: Final = 3


class FirstOfEquals(TorchFunctionMode):  # type: ignore[misc] # torch is not followed
    """While it is entered, torch.topk keeps the first of equals, as ONNX's TopK does.

    It holds for answers, not for a trace, which would have a whole sort in the place of TopK.
    """

    def __torch_function__(
        self,
        func: object,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        """Every other function is left as it is."""
        if func is torch.topk:
            return _first_of_equals(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))  # type: ignore[operator]


def in_order(
    expected: Sequence[Sequence[Array]], found: Sequence[Sequence[Array]]
) -> list[list[Array]]:
    """`found` with each image's places in the order of `expected`.

    Both hold for each output the arrays `[batch, places, …]` of each sample. Places that answer
    alike stay; of the others each takes the nearest that is left, all outputs together, each
    measured by its own greatest value.
    """
    outputs = [list(output) for output in found]
    for sample in range(len(outputs[0])):
        wanted = [output[sample] for output in expected]
        given = [output[sample] for output in outputs]
        if any(a.shape != b.shape or a.ndim != _RANK for a, b in zip(wanted, given, strict=True)):
            continue
        orders = _orders(_together(wanted, wanted), _together(given, wanted))
        for number, array in enumerate(given):
            outputs[number][sample] = np.take_along_axis(array, orders[:, :, None], axis=1)
    return outputs


def _first_of_equals(scores: torch.Tensor, k: int, dim: int = -1, **_: bool) -> object:
    """As torch.topk's answer, values and indices by name."""
    chosen = torch.argsort(scores, dim=dim, descending=True, stable=True).narrow(dim, 0, k)
    return torch.return_types.topk((scores.gather(dim, chosen), chosen))


def _together(arrays: Sequence[Array], measures: Sequence[Array]) -> npt.NDArray[np.float64]:
    """The outputs side by side, `[batch, places, all widths]`, each as shares of its greatest."""
    scales = [float(np.abs(one).max(initial=0.0)) or 1.0 for one in measures]
    return np.concatenate([a / s for a, s in zip(arrays, scales, strict=True)], axis=2)


def _orders(
    wanted: npt.NDArray[np.float64], given: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """For each image which place of `given` answers for each of `wanted`."""
    orders = np.tile(np.arange(wanted.shape[1], dtype=np.int64), (len(wanted), 1))
    for order, one, other in zip(orders, wanted, given, strict=True):
        moved = np.flatnonzero(~(np.abs(one - other).max(axis=1) <= _SAME))
        left = list(moved)
        for place in moved:
            far = np.abs(other[left] - one[place]).max(axis=1)
            order[place] = left.pop(int(np.argmin(far)))
    return orders
