"""The process that speaks to Ray, of a version that no cluster has."""

import sys
from typing import Final

import ray

from deployopt.pipeline.matrix.ray_child import main

COMMAND: Final = (sys.executable, "-m", "tests.fakes.other_ray")

if __name__ == "__main__":
    ray.__version__ = "1.99.0"
    sys.exit(main(sys.argv[1:]))
