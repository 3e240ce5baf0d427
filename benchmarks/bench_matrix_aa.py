"""Does a cell measure beside other cells what it measures alone?

    python -m benchmarks.bench_matrix_aa [--pairs 48] [--fleet FILE]    on a quiet machine
    pytest benchmarks/ -k matrix_aa                                     the same, two pairs

The same round of the same model twice a pair, in turn first: alone, and in a matrix whose other
cells build (they spin a core each) and measure, too. `--fleet FILE` measures both on the first
device of that file, and the others are measured there as well. The ratio of the medians is judged
as every relative claim is (core/relative.py): rounds are the unit, the looks are at 12, 24 and 48
pairs, a pair with a void round does not count, and more than a fifth void leave it undecided.
Exit 0: no slower than the margin; 1: slower; 3: undecided.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import numpy as np

from benchmarks.matrix_aa_child import COMMAND, FEEDS, TIME
from deployopt.core.fleet import FleetFile
from deployopt.core.matrix import NOBODY, CellRequest, Word
from deployopt.core.measurement import Round
from deployopt.core.relative import LOOKS, RelativeJudgement, judge_relative
from deployopt.core.samples import encode_samples
from deployopt.core.standing import Standing
from deployopt.pipeline.matrix.executor import Executor
from deployopt.pipeline.matrix.fleet import OnFleet, read_fleet
from deployopt.pipeline.matrix.processes import Processes
from deployopt.planning.targets import load_target
from tests.fakes.cells import cell

_MARGIN: Final = 0.05
_VOID_MOST: Final = 0.2
_ABREAST: Final = 2
_WIDTH: Final = 768
_LAYERS: Final = 8
_BATCH: Final = 16
_CODES: Final = {Standing.INSIDE: 0, Standing.OUTSIDE: 1, Standing.UNSETTLED: 3}


def write_model(folder: Path) -> Path:
    """Layers of one thread's work for some milliseconds, and what they are asked."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    dice = np.random.default_rng(0)
    nodes, weights = [], []
    for at in range(_LAYERS):
        weight = dice.normal(0, _WIDTH**-0.5, (_WIDTH, _WIDTH)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{at}"))
        nodes.append(helper.make_node("MatMul", [f"x{at}", f"w{at}"], [f"m{at}"]))
        nodes.append(helper.make_node("Relu", [f"m{at}"], [f"x{at + 1}"]))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [_BATCH, _WIDTH])
        for name in ("x0", f"x{_LAYERS}")
    ]
    graph = helper.make_graph(nodes, "aa", ends[:1], ends[1:], weights)
    path = folder / "model.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    feed = {"x0": dice.normal(size=(_BATCH, _WIDTH)).astype(np.float32)}
    (folder / FEEDS).write_bytes(encode_samples([feed] * 8))
    return path


class Site:
    """Where both arms are measured."""

    def __init__(self, folder: Path, fleet: FleetFile | None) -> None:
        self._store = folder / "store"
        self._out = folder / "out"
        self._fleet = fleet
        self._model = write_model(folder)

    def round_of(self, *, busy: bool) -> Round:
        """Of the measured cell."""
        self._out.mkdir(exist_ok=True)
        cells = [self._timed("measured")]
        if busy:
            cells = [self._other("spin 1", "first"), *cells, self._other("spin 1", "second")]
            cells += [self._other("measure 0.5", "third"), self._timed("fourth")]
        found = {one.name.model: one for one in self._executor().results(cells, NOBODY)}
        wrong = {name: one.error for name, one in found.items() if one.word is not Word.ACCEPTED}
        if wrong:
            raise RuntimeError(f"cells failed: {wrong}")
        return msgspec.json.decode((self._out / "measured.json").read_bytes(), type=Round)

    def _executor(self) -> Executor:
        here = Processes(_ABREAST, COMMAND)
        return here if self._fleet is None else OnFleet(here, self._fleet)

    def _timed(self, name: str) -> CellRequest:
        one = self._other(f"{TIME}{self._model}", name)
        if self._fleet is None:
            return one
        kind = self._fleet.device[0].target
        return msgspec.structs.replace(one, target=load_target(kind), pool=kind)

    def _other(self, what: str, name: str) -> CellRequest:
        asked = cell(what, name, store=self._store)
        return msgspec.structs.replace(asked, output=str(self._out / name))


def compare(site: Site, pairs: int, margin: float) -> tuple[RelativeJudgement, float]:
    """Print and judge; the share of pairs that were void."""
    ratios: list[float] = []
    void = done = 0
    judged = judge_relative(ratios, margin)
    print("| pair | alone | beside others | ratio | void |\n|---|---|---|---|---|")
    while done < pairs and void <= _VOID_MOST * pairs and judged.standing is Standing.UNSETTLED:
        first = bool(done % 2)
        rounds = {busy: site.round_of(busy=busy) for busy in (first, not first)}
        alone, beside = (median(rounds[busy].samples_s) for busy in (False, True))
        why = rounds[False].void or rounds[True].void
        done += 1
        if why is None:
            ratios.append(math.log(beside / alone))
        void += why is not None
        print(
            f"| {done} | {alone * 1e3:.3f} ms | {beside * 1e3:.3f} ms | {beside / alone:.3f} "
            f"| {why or ''} |",
            flush=True,
        )
        judged = judge_relative(ratios, margin)
    return judged, void / max(1, done)


def report(judged: RelativeJudgement, void_share: float, margin: float) -> int:
    """The verdict in words, and as an exit code."""
    standing = Standing.UNSETTLED if void_share > _VOID_MOST else judged.standing
    bounds = "" if judged.high is None else f", one-sided 95 % bounds {judged.low:.3f} to "
    bounds += "" if judged.high is None else f"{judged.high:.3f}"
    ratio = "no ratio" if judged.ratio is None else f"{judged.ratio:.3f} x"
    print(
        f"\nbeside others / alone: {ratio}{bounds}; {judged.rounds} pairs count, "
        f"{void_share:.0%} void; margin {margin:.0%}: {standing.value}"
    )
    return _CODES[standing]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=LOOKS[-1].rounds)
    parser.add_argument("--margin", type=float, default=_MARGIN, help="a share of one")
    parser.add_argument("--fleet", type=Path)
    asked = parser.parse_args(arguments)
    fleet = None if asked.fleet is None else read_fleet(asked.fleet)
    if fleet is not None:
        fleet = msgspec.structs.replace(fleet, device=fleet.device[:1])
    with tempfile.TemporaryDirectory() as folder:
        judged, void_share = compare(Site(Path(folder), fleet), asked.pairs, asked.margin)
    return report(judged, void_share, asked.margin)


def test_matrix_aa(tmp_path: Path) -> None:
    # Two pairs decide nothing; a measurement that others disturb is far off.
    judged, void_share = compare(Site(tmp_path, None), 2, _MARGIN)
    assert report(judged, void_share, _MARGIN) == _CODES[Standing.UNSETTLED]
    assert judged.ratio is None or 0.5 < judged.ratio < 2.0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
