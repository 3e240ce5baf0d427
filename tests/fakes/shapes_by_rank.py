"""A tiny RT-DETR, with transformers' own processor, that learns to find the coloured shapes."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.fakes.coloured_shapes import LABELS, SIDE, drawn

_BASE: Final[dict[str, Any]] = {
    "d_model": 32, "encoder_hidden_dim": 32, "encoder_in_channels": [16, 24, 32],
    "decoder_in_channels": [32, 32, 32], "encoder_layers": 1, "decoder_layers": 2,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48, "num_denoising": 0, "num_queries": 9,
}  # fmt: skip


def write_rt_detr(
    folder: Path, steps: int, *, version: str = "", side: int = SIDE, **options: Any
) -> Path:
    """A model folder; with no steps the weights are random. `version` is empty or V2."""
    import torch
    import transformers

    torch.manual_seed(0)
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = getattr(transformers, f"RTDetr{version}Config")(
        backbone_config=backbone, freeze_backbone_batch_norms=not steps,
        id2label=dict(enumerate(LABELS)), label2id={label: at for at, label in enumerate(LABELS)},
        **{**_BASE, **options},
    )  # fmt: skip
    model = getattr(transformers, f"RTDetr{version}ForObjectDetection")(config)
    if steps:
        _train(model, steps)
    # Norms that were trained are frozen from here on, as in the published models.
    weights = {k: v for k, v in model.state_dict().items() if not k.endswith("batches_tracked")}
    model.eval().save_pretrained(folder, state_dict=weights)
    saved = json.loads((folder / "config.json").read_text())
    saved["freeze_backbone_batch_norms"] = True
    (folder / "config.json").write_text(json.dumps(saved))
    processor = transformers.RTDetrImageProcessorPil(size={"height": side, "width": side})
    processor.save_pretrained(folder)
    return folder


def _train(model: Any, steps: int) -> None:
    import torch

    shares, wanted, kinds = drawn(3000, np.random.default_rng(1))
    # This family sees shares of the greatest value, and no mean and deviation.
    pictures = torch.from_numpy(shares * 0.5 + 0.5)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # transformers starts them near zero, from where it is a long way.
            torch.nn.init.ones_(module.weight)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    random = np.random.default_rng(0)
    model.train()
    for _ in range(steps):
        rows = random.integers(0, len(pictures), 16)
        answer = model(pictures[rows])
        boxes, kind = torch.from_numpy(wanted[rows]), torch.from_numpy(kinds[rows])
        layers = zip(
            (*answer.intermediate_logits.unbind(1), answer.enc_topk_logits),
            (*answer.intermediate_reference_points.unbind(1), answer.enc_topk_bboxes),
            strict=True,
        )
        loss = sum(_loss(logits, found, boxes, kind) for logits, found in layers)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def _loss(logits: Any, found: Any, boxes: Any, kind: Any) -> Any:
    """One shape a picture: the place that is nearest to it has it, and no other has any."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    distance = (found - boxes[:, None]).abs().sum(-1)
    rows = torch.arange(len(kind))
    score = logits[rows, :, kind].sigmoid()
    best = (5 * distance - 2 * score).argmin(dim=1)
    target = torch.zeros_like(logits)
    target[rows, best, kind] = 1.0
    weight = (logits.sigmoid() - target).abs().detach() ** 2
    scores = binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    return scores / len(kind) + 5 * distance[rows, best].mean()
