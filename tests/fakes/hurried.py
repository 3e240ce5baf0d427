"""deployopt, measuring with fewer and shorter rounds: `python -m tests.fakes.hurried build …`.

Nothing else differs from the command. Too few rounds settle no comparison between candidates, so
int8 is chosen here only where the float form misses a budget.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from deployopt.cli.main import main
from deployopt.core.evidence import Evidence
from deployopt.core.relative import Look
from deployopt.core.search import Effort
from deployopt.device import bundle_measuring
from deployopt.pipeline import trying
from deployopt.pipeline.language import trying as language_trying
from deployopt.pipeline.searching import schooling, timing

COMMAND: Final = (sys.executable, "-m", "tests.fakes.hurried")
READY: Final = "DEPLOYOPT_TEST_READY"
"""Names a file that is made when everything is imported and the command begins."""
ROUND_S: Final = 0.05
ROUNDS: Final = 5


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Do so in this process."""
    for place in (trying, language_trying):
        patch.setattr(place, "ROUND_S", dict.fromkeys((Evidence.TARGET, Evidence.PROXY), ROUND_S))
        patch.setattr(place, "LOOKS", (Look(ROUNDS, 0.0),))
    patch.setattr(bundle_measuring, "MIN_ROUND_S", ROUND_S)
    patch.setattr(timing, "ROUND_S", ROUND_S)
    patch.setitem(schooling.RUNGS, Effort.DEFAULT, (1, 1, 1))
    patch.setitem(schooling.SHAPES, Effort.DEFAULT, (3, 2, 1))


def start(arguments: Sequence[str]) -> None:
    """The whole command, in a hurry."""
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        if READY in os.environ:
            Path(os.environ[READY]).touch()
        main(arguments)


if __name__ == "__main__":
    start(sys.argv[1:])
