"""Which models fit which boards, and which one to take: no torch, no download, a second in all."""

import sys
from collections.abc import Sequence

import deployopt
from deployopt.core.standing import Standing

BOARDS = ("rpi4", "rpi5", "jetson-orin-nano", "rtx3060", "a100")
MODELS = ("distilbert", "resnet-50", "whisper-small", "qwen2.5-7b")


def highest_precision(model: str, board: str) -> str:
    """The best precision whose whole predicted band fits, with what it needs; or a dash."""
    fit = deployopt.fit(model, target=board).fit
    if fit.best is None:
        return "-"
    use = fit.uses[fit.best]
    return f"{use.precision.value} {use.need.total.upper / 2**30:.1f} GiB"


def print_row(name: str, cells: Sequence[str]) -> None:
    """Columns of one width."""
    print(f"{name:14}", "  ".join(f"{cell:>16}" for cell in cells))


def main() -> int:
    """A table of what fits, then the advice for one task."""
    print_row("", BOARDS)
    for model in MODELS:
        print_row(model, [highest_precision(model, board) for board in BOARDS])
    advice = deployopt.recommend(task="sentiment", target="rpi4", examples=8000).recommendation
    if advice.choice is None:
        print("Nothing in the catalogue will do.")
        return 1
    choice = advice.choice
    print(f"\nFor sentiment on a Raspberry Pi 4: {choice.alias} in {choice.precision.value}.")
    for reason in choice.reasons:
        print(f"  {reason.about}: {reason.text}")
    print("\n".join(choice.commands))
    return 0 if choice.standing is Standing.INSIDE else 3


if __name__ == "__main__":
    sys.exit(main())
