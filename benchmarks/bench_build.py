"""How long does a whole build take, with an empty store and with a full one, in how much memory?

    pytest benchmarks/bench_build.py --benchmark-only --benchmark-json build.json

A classifier of the shape that DEPLOYOPT_BENCH_SHAPE says (`tiny` by default, `distilbert` for six
layers of 768) with random weights and made-up texts is built for a Raspberry Pi 4 by the command,
in a process of its own. `extra_info` has the seconds of every stage, the greatest resident size of
that process, and the greatest of its measuring children.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.environment import environment
from tests.fakes.models import LABELS, labelled_texts, write_csv, write_tokenizer

SHAPES = {
    "tiny": {"dim": 64, "hidden_dim": 256, "n_heads": 4, "n_layers": 2, "vocab_size": 2000},
    "distilbert": {},
}
STEPS = ("Model", "Data", "Build float", "Build int8")
"""The stages before anything is asked or timed."""
Build = Callable[[], None]
MEASURED = """
import json, resource, sys
from deployopt.cli.main import run
code = run(sys.argv[1:])
sizes = [resource.getrusage(who).ru_maxrss * 1024
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
sys.stdout.write("\\n" + json.dumps(sizes))
sys.exit(0 if code in (0, 1, 3) else code)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in Hugging Face form."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    names = {"id2label": dict(enumerate(LABELS)), "label2id": {n: i for i, n in enumerate(LABELS)}}
    config = transformers.DistilBertConfig(**SHAPES[shape()], **names)
    transformers.DistilBertForSequenceClassification(config).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 labelled texts."""
    rows = [(text, LABELS[label]) for text, label in labelled_texts(400)]
    return write_csv(tmp_path_factory.mktemp("data") / "texts.csv", rows)


def shape() -> str:
    return os.environ.get("DEPLOYOPT_BENCH_SHAPE", "tiny")


def builder(benchmark: BenchmarkFixture, model: Path, data: Path, folder: Path) -> Build:
    """One build into `folder`; what it tells of itself goes to extra_info."""
    words = ["build", "-t", "rpi4", "-m", f"{model}/", "-d", str(data), "--json", "--quiet"]
    words += ["-b", "accuracy_drop=20pt", "-o", str(folder / "bundle")]

    def build() -> None:
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, *words, "--store", str(folder / "store")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed, _, sizes = done.stdout.rpartition("\n")
        own, children = json.loads(sizes)
        stages = {one["stage"]: one["seconds"] for one in json.loads(printed)["stages"]}
        benchmark.extra_info |= {
            **environment(),
            "shape": shape(),
            "stages_s": stages,
            "before_measuring_s": sum(stages.get(name, 0.0) for name in STEPS),
            "peak_rss_bytes": own,
            "child_peak_rss_bytes": children,
        }

    return build


def test_a_build_with_an_empty_store(
    benchmark: BenchmarkFixture, model: Path, data: Path, tmp_path: Path
) -> None:
    benchmark.pedantic(builder(benchmark, model, data, tmp_path), rounds=1)  # type: ignore[no-untyped-call]


def test_the_same_build_again(
    benchmark: BenchmarkFixture, model: Path, data: Path, tmp_path: Path
) -> None:
    build = builder(benchmark, model, data, tmp_path)
    build()
    benchmark.pedantic(build, rounds=1)  # type: ignore[no-untyped-call]
