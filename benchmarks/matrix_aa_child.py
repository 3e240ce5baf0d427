"""A cell of bench_matrix_aa.py: `time MODEL.onnx` times a round; others work as tests/fakes/ do.

All but the build itself is the product's: the stages, the leases, the board of a fleet.
"""

import sys
from pathlib import Path
from typing import Final

from deployopt.core.codec import encode_json
from deployopt.core.matrix import CellRequest, CellResult
from deployopt.core.request import BuildRequest
from deployopt.core.result import BuildResult
from deployopt.core.watching import Watcher
from deployopt.device.device import Device, ThisMachine
from deployopt.device.latency import cores_for
from deployopt.device.protocol import Timed, TimeRequest
from deployopt.device.setup import Setup
from deployopt.pipeline.matrix import cell as cells
from deployopt.pipeline.matrix.turns import Turns
from deployopt.pipeline.matrix.worker import serve
from deployopt.store.digests import sha256_file
from deployopt.store.leases import Lease
from tests.fakes import cells as fakes
from tests.fakes import results

COMMAND: Final = (sys.executable, "-m", "benchmarks.matrix_aa_child")
TIME: Final = "time "
FEEDS: Final = "feeds.npz"
"""Beside the model."""
_REQUESTS: Final = 50
_ROUND_S: Final = 1.0


def work(
    request: CellRequest, watcher: Watcher, lease: Lease, turns: Turns | None = None
) -> CellResult:
    """One cell."""
    if not request.model.startswith(TIME):
        return fakes.serve_or_fail(request, watcher, lease, turns)
    vars(cells)["run_build"] = timed
    return cells.run_cell(request, watcher, lease, turns)


def timed(asked: BuildRequest, stages: Watcher, given: None, device: Device | None) -> BuildResult:
    """In the place of a build: one round, which stands beside the bundle's place as JSON."""
    del given
    device = device or ThisMachine()
    model = Path(asked.model.removeprefix(TIME))
    stages.stage("Build")
    stages.stage("Latency", quiet=True)
    request = TimeRequest(
        setup=Setup(artifact=sha256_file(model), model=model, threads=1),
        feeds=model.with_name(FEEDS),
        expected=None,
        requests=_REQUESTS,
        min_s=_ROUND_S,
        seed=0,
        cores=cores_for(device.machine, 1),
    )
    found = device.ask(request, device.limits())
    if asked.output is not None and isinstance(found, Timed):
        asked.output.with_suffix(".json").write_bytes(encode_json(found.round))
    stages.stage("Publish")
    return results.build_result("accepted")


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:], work))
