"""A result as OpenMetrics text: what GitLab's metrics report and Prometheus read.

In: a CI summary. Out: bytes; a gauge a budget for what was observed, for its upper bound and for
its limit, and one that is 1 where the result was accepted. Names and labels follow from the model,
the target and the budget alone, so that two branches can be compared.
"""

import math
import re
from typing import Final

from deployopt.reports.ci_record import ACCEPTED, CiSummary

# GitLab splits a line as a shell would and cuts it at a "#": nothing of that may be in a label.
_UNSAFE: Final = re.compile(r"[^][A-Za-z0-9._/@+-]+")
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9_]+")
_LABEL_MAX: Final = 80


def openmetrics(summary: CiSummary) -> bytes:
    """All gauges, sorted by name, with `# EOF` at the end."""
    gauges = {("deployopt_accepted", ""): [_sample(summary, "", float(summary.word == ACCEPTED))]}
    for case in summary.cases:
        for figure in case.figures:
            if math.isfinite(figure.value):
                parts = ("deployopt", _name(case.name), figure.name, figure.unit)
                name = "_".join(part for part in parts if part)
                sample = _sample(summary, case.group, figure.value)
                gauges.setdefault((name, figure.unit), []).append(sample)
    lines = []
    for (name, unit), samples in sorted(gauges.items()):
        lines.append(f"# TYPE {name} gauge")
        lines += [f"# UNIT {name} {unit}"] if unit else []
        lines += [f"{name}{sample}" for sample in sorted(samples)]
    return "\n".join([*lines, "# EOF", ""]).encode()


def _sample(summary: CiSummary, group: str, value: float) -> str:
    named = (("model", summary.name), ("target", summary.target), ("benchmark", group))
    labels = ",".join(f'{name}="{_label(text)}"' for name, text in named if text)
    return f"{{{labels}}} {_number(value)}"


def _label(text: str) -> str:
    return _UNSAFE.sub("_", text)[:_LABEL_MAX]


def _name(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", text.casefold()).strip("_")


def _number(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() and abs(value) < 2**53 else f"{value:.6g}"
