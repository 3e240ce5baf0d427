"""A finished fine-tuning run as a record, for reports and schemas."""

import msgspec

from deployopt.core.evidence import Estimate
from deployopt.core.memory import Method
from deployopt.core.training import Evaluation, LossPoint, TrainingOptions
from deployopt.core.training_result import FinetuneResult, HeldDialogues, HeldOut, TrainingMemory


def finetune_result(epochs: int = 3) -> FinetuneResult:
    """LoRA over a small encoder; the second evaluation is the best."""
    evaluations = tuple(
        Evaluation(step=50 * n, epoch=float(n), loss=0.6 / n, accuracy=0.9 - 0.01 * abs(n - 2),
                   best=n <= 2)
        for n in range(1, epochs + 1)
    )  # fmt: skip
    curve = tuple(
        LossPoint(step=10 * n, epoch=n / 5, loss=0.7 / n, learning_rate=2e-4)
        for n in range(1, 5 * epochs + 1)
    )
    predicted = Estimate(value=1.0e9, lower=0.8e9, upper=1.2e9, basis="formulas over the shape")
    return FinetuneResult(
        base="minilm",
        resolved="hub:someone/minilm-sentiment@0123456789abcdef0123456789abcdef01234567",
        options=TrainingOptions(method=Method.LORA, learning_rate=2e-4, accumulation=2, rank=8),
        reason="adapters are trained (LoRA, rank 8): full would need 9.1 to 11.2 GiB of 6 GiB",
        labels=("negative", "positive"),
        new_head=False,
        examples={"held-out": 200, "train": 1_600, "validation": 200},
        epochs=float(epochs),
        steps=50 * epochs,
        best_epoch=2.0,
        stopped="the time limit",
        held_out=HeldOut(examples=200, right=178, accuracy=0.89, lower=0.838, upper=0.93),
        evaluations=evaluations,
        curve=curve,
        seconds=312.0,
        processes=2,
        resumed_from=50,
        memory=TrainingMemory(
            predicted=predicted, measured_bytes=1.3e9, ratio=1.3, inside=False, measured="RSS"
        ),
        parameters=22_713_218,
        parameters_trained=812_034,
        folder="minilm-tuned",
        digest="ab" * 32,
        weights_sha256="cd" * 32,
        warnings=("reviews.csv: rows left out: 3 repeated.",),
        exit_code=0,
    )


def tuned_result(epochs: int = 3, *, better: bool = True) -> FinetuneResult:
    """The same of a language model, tuned with dialogues."""
    made = finetune_result(epochs)
    upper = -0.41 if better else 0.004
    return msgspec.structs.replace(
        made,
        base="demo-chat",
        labels=(),
        held_out=None,
        held_dialogues=HeldDialogues(
            dialogues=32, tokens=1_240, base_nll=2.7311, tuned_nll=1.5420, change=-0.4354,
            lower=-0.461, upper=upper, better=better, documents=31 if better else 3,
        ),
        evaluations=tuple(msgspec.structs.replace(e, accuracy=None) for e in made.evaluations),
    )  # fmt: skip
