"""What `distill` gives back, made up."""

from deployopt.core.distill_result import DistillResult, EpochScore, Lessons, ModelShape, Share
from deployopt.core.paired import agreement_bounds, loss_bounds

N = 3_300


def share(estimate: float) -> Share:
    """A share of all held-out examples, with a made-up interval."""
    return Share(estimate=estimate, lower=estimate - 0.012, upper=estimate + 0.011, n=N)


def distill_result(*, labelled: bool = True, words: str = "") -> DistillResult:
    """Three of six layers and half of the neurons; `words` go wherever a text can."""
    return DistillResult(
        teacher=words or "demo-sentiment",
        student=words or "cut from the teacher",
        kept_layers=(0, 2, 4),
        before=ModelShape(
            layers=6, hidden=384, heads=12, ffn=1536, parameters=22_860_674, macs=2.9e8, length=26
        ),
        after=ModelShape(
            layers=3, hidden=384, heads=12, ffn=768, parameters=15_761_666, macs=9.6e7, length=26
        ),
        macs_ratio=3.02,
        teacher_accuracy=share(0.872) if labelled else None,
        student_accuracy=share(0.856) if labelled else None,
        agreement=share(0.913),
        untrained_agreement=0.52,
        loss=loss_bounds(170, 117, N) if labelled else agreement_bounds(287, N),
        lost=170 if labelled else 287,
        gained=117 if labelled else 0,
        confidence=0.95,
        lessons=Lessons(
            epochs=(
                EpochScore(epoch=0, loss=None, agreement=0.52, divergence=1.31),
                EpochScore(epoch=1, loss=0.61, agreement=0.88, divergence=0.14),
                EpochScore(epoch=2, loss=0.42, agreement=0.911, divergence=0.11),
            ),
            best_epoch=2,
            steps=372,
            stopped="time limit",
            layer_map=(1, 3, 5),
        ),
        data=words or "demo-sentiment",
        splits={"train": 5_942, "validation": 504, "held-out": N, "unlabelled": 8_000},
        notes=(words or "tweets.txt: 12 texts resemble ones that judge and were left out.",),
        folder="student",
        digest="ab" * 32,
        seconds={"Model": 0.2, "Data": 1.5, "Student": 361.0, "Judging": 22.0, "Folder": 0.1},
    )
