"""Files as pytest-benchmark saves them, made up."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def saved(
    samples: Mapping[str, Sequence[float]],
    *,
    iterations: int = 1,
    when: str = "",
    **machine: object,
) -> dict[str, Any]:
    """One run; `machine` overrides what its machine says."""
    info = {
        "node": "runner-1",
        "machine": "x86_64",
        "system": "Linux",
        "release": "6.12",
        "python_version": "3.11.9",
        "python_implementation": "CPython",
        "cpu": {"brand_raw": "AMD EPYC 9B14", "count": 2, "flags": ["avx2"]},
    }
    return {
        "machine_info": info | machine,
        "commit_info": {"id": "unknown"},
        "benchmarks": [
            {
                "name": name.rpartition("::")[2],
                "fullname": name,
                "options": {"timer": "perf_counter"},
                "stats": {"data": list(data), "iterations": iterations, "mean": 0.1},
            }
            for name, data in samples.items()
        ],
        "datetime": when,
        "version": "5.1.0",
    }


def write_runs(
    folder: Path, medians_s: Sequence[float], *, requests: int = 60, names: Sequence[str] = ("a",)
) -> list[Path]:
    """A file a run, whose requests lie within 5 % of its median."""
    chance = random.Random(5)  # noqa: S311 -- timings, not secrets
    paths = []
    for number, median_s in enumerate(medians_s):
        path = folder / f"run-{number}.json"
        made = {
            f"test_it.py::{name}": [median_s * chance.uniform(0.95, 1.05) for _ in range(requests)]
            for name in names
        }
        path.write_text(json.dumps(saved(made, when=f"2026-01-01T00:00:{number:02d}")), "utf-8")
        paths.append(path)
    return paths
