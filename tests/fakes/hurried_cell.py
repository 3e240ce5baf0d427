"""A worker of a matrix that measures with fewer and shorter rounds, and counts itself.

It leaves a file of its own in `$DEPLOYOPT_TEST_CELLS`, so that a test knows how many were started.
"""

import os
import sys
from pathlib import Path
from typing import Final

import pytest

from deployopt.pipeline.matrix.worker import serve
from deployopt.remote import ssh_device
from tests.fakes import hurried

COMMAND: Final = (sys.executable, "-m", "tests.fakes.hurried_cell")
COUNTED: Final = "DEPLOYOPT_TEST_CELLS"


if __name__ == "__main__":
    if COUNTED in os.environ:
        (Path(os.environ[COUNTED]) / str(os.getpid())).touch()
    with pytest.MonkeyPatch.context() as patch:
        hurried.hurry(patch)
        patch.setattr(ssh_device, "DELAYS_S", (0.1, 0.2))
        sys.exit(serve(sys.argv[1:]))
