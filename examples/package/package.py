"""Build a model for a target, and copy the bundle into a release folder if it may ship."""

import argparse
import shutil
import sys
from pathlib import Path

import deployopt
from deployopt import BuildResult, DeployoptError, ExitCode

WORK = Path("out")


def main() -> int:
    """Build, look at the verdict, release; the exit code is the verdict's or the error's."""
    asked = arguments()
    try:
        result = deployopt.build(
            model=asked.model,
            target=asked.target,
            data=asked.data,
            output=WORK / f"{Path(asked.model).stem}-{Path(asked.target).stem}",
            accept_predicted=asked.accept_predicted,
        )
        if result.exit_code == ExitCode.ACCEPTED:
            print(f"released {release(result, asked.release)}")
        else:
            explain(result)
    except DeployoptError as error:
        print(f"not released: {error}", file=sys.stderr)
        return error.exit_code
    return result.exit_code


def release(result: BuildResult, folder: Path) -> Path:
    """Copy the bundle, and open the copy: that checks every digest."""
    built = Path(str(result.bundle))
    place = folder / built.name
    if place.exists():
        raise deployopt.UsageError(f"{place} is released already. Remove it or choose another.")
    shutil.copytree(built, place)
    deployopt.Bundle.open(place)
    return place


def explain(result: BuildResult) -> None:
    """Say why nothing was released: the budgets that are not met, and what would settle them."""
    if result.verdict is None:
        return
    print(f"not released: {result.verdict.word}", file=sys.stderr)
    for check in result.verdict.checks:
        if check.outcome is not deployopt.Outcome.ACCEPTED:
            print(f"  {check.metric}: {check.reason} {check.settle or ''}", file=sys.stderr)


def arguments() -> argparse.Namespace:
    """What to build, and where a release goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="demo-sentiment")
    parser.add_argument("--target", default="rpi4")
    parser.add_argument("--data", help="evaluation data, where the model brings none")
    parser.add_argument("--release", type=Path, default=Path("release"))
    parser.add_argument("--accept-predicted", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
