"""What a student's answer costs beside its teacher's; every term is a mean and has no unit."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def logits_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Divergence of the softened answers, times T squared (Hinton et al. 2015)."""
    said = functional.log_softmax(student / temperature, dim=1)
    wanted = functional.log_softmax(teacher / temperature, dim=1)
    kl = functional.kl_div(said, wanted, reduction="batchmean", log_target=True)
    return kl * temperature**2


def hidden_loss(
    student: Sequence[Tensor], teacher: Sequence[Tensor], real: Sequence[Tensor]
) -> Tensor:
    """Squared error over the teacher's mean square, over real tokens; the mean over layers."""
    terms = []
    for said, wanted, tokens in zip(student, teacher, real, strict=True):
        weights = tokens.unsqueeze(-1)
        error = ((said - wanted).square() * weights).sum()
        terms.append(error / (wanted.square() * weights).sum().clamp_min(1e-12))
    return torch.stack(terms).mean()


def relation_loss(
    student: Sequence[Tensor], teacher: Sequence[Tensor], real: Tensor, heads: int
) -> Tensor:
    """Divergence of how tokens relate, of queries, keys and values alike (MiniLMv2, 2021).

    Each is `[batch, tokens, width]`; widths may differ, the number of relation heads may not.
    """
    terms = []
    for said, wanted in zip(student, teacher, strict=True):
        one, other = _relations(said, real, heads), _relations(wanted, real, heads)
        kl = (other.exp() * (other - one)).masked_fill(other.isinf(), 0.0).sum(dim=-1)
        rows = real.unsqueeze(1)
        terms.append((kl * rows).sum() / (rows.sum() * heads))
    return torch.stack(terms).mean()


def label_loss(student: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy where there is a label; -1 says that there is none."""
    if bool((labels < 0).all()):
        return student.sum() * 0.0
    return functional.cross_entropy(student, labels, ignore_index=-1)


def _relations(values: Tensor, real: Tensor, heads: int) -> Tensor:
    """Logarithms of the softmax over tokens, `[batch, heads, tokens, tokens]`."""
    split = values.unflatten(-1, (heads, -1)).transpose(1, 2)
    products = split @ split.transpose(-1, -2) / split.shape[-1] ** 0.5
    padding = (real == 0)[:, None, None, :]
    return functional.log_softmax(products.masked_fill(padding, -torch.inf), dim=-1)
