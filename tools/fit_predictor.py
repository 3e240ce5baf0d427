"""Fit the latency predictor's factors and bands to published rows, and write them as shipped.

    python tools/fit_predictor.py [--check]

Reads benchmarks/data/latency_*.csv, writes deployopt/planning/data/efficiencies.toml; the same rows
give the same file. `--check` compares instead, and fails where the shipped file is another.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.latency_fit import fitted
from benchmarks.predict import own_rows
from deployopt.planning.coefficients import TABLE, Coefficients

_HEAD = """\
# Factors on the terms of a request's time, fitted to benchmarks/data/latency_*.csv by
# tools/fit_predictor.py: do not edit. A factor above 1 is slower than the datasheet and the default
# efficiencies say; a scope that is not here keeps them. "all" stands for every term.
"""


def main() -> int:
    """Fit, then write or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the shipped file")
    asked = parser.parse_args()
    text = written(fitted(own_rows()[0]))
    if asked.check:
        same = TABLE.read_text("utf-8") == text
        print("as shipped" if same else f"{TABLE} is not what the rows give")
        return 0 if same else 1
    TABLE.write_text(text, "utf-8")
    print(f"{TABLE}: {text.count(chr(10))} lines")
    return 0


def written(fit: Coefficients) -> str:
    """As TOML."""
    lines = [_HEAD]
    lines += ["", "# Four of five held-out errors were within these, by kind of work and tier.", ""]
    for key, tiers in sorted(fit.bands.items()):
        lines += [f'[bands."{key}"]', *(f"{t} = {v}" for t, v in sorted(tiers.items())), ""]
    lines += ["# Rows that were fitted: device or class, runtime, kind of work.", "", "[rows]"]
    lines += [f'"{key}" = {count}' for key, count in sorted(fit.rows.items())]
    lines += ["", "[scopes]"]
    for scope, factors in sorted(fit.scopes.items()):
        inner = ", ".join(f"{term} = {value}" for term, value in sorted(factors.items()))
        lines.append(f'"{scope}" = {{ {inner} }}')
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
