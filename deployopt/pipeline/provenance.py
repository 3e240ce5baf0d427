"""What was built from what: an in-toto statement with a SLSA provenance v1 predicate.

In: what was asked for, the lineage, the files that ship. Out: JSON values, the same for the same
build: no time, no place, no name of a machine. A signature of the bundle covers it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from deployopt.core.bundle import FileEntry, Lineage, LineageStep, Origin
from deployopt.core.version import VERSION

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://slsa.dev/provenance/v1"
_HOME: Final = "https://github.com/deployopt/deployopt"
_HUB: Final = re.compile(r"hub:(?P<place>[^@\s]+)@(?P<commit>[0-9a-f]{40})")


def provenance(
    asked: Mapping[str, object], lineage: Lineage, shipped: Iterable[FileEntry]
) -> dict[str, object]:
    """The statement; its subjects are the files that the device needs to answer."""
    subjects = sorted(shipped, key=lambda file: file.path)
    return {
        "_type": STATEMENT,
        "subject": [{"name": f.path, "digest": {"sha256": f.sha256}} for f in subjects],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": f"{_HOME}/build/v1",
                "externalParameters": dict(asked),
                "internalParameters": {
                    "recipe": lineage.recipe,
                    "steps": [_step(step) for step in lineage.steps],
                    "splits": dict(lineage.splits),
                },
                "resolvedDependencies": [
                    *_materials("model", lineage.model),
                    *([] if lineage.data is None else _materials("data", lineage.data)),
                    *(
                        []
                        if lineage.questions is None
                        else _materials("questions", lineage.questions)
                    ),
                ],
            },
            "runDetails": {
                "builder": {
                    "id": _HOME,
                    "version": {"deployopt": VERSION},
                    "builderDependencies": [{"uri": uri} for uri in _tools(lineage)],
                }
            },
        },
    }


def _step(step: LineageStep) -> dict[str, Any]:
    return {
        "step": step.step,
        "version": step.version,
        "options": msgspec.json.decode(step.options.encode()),
        "tools": dict(step.tools),
        "source": step.source,
        "result": step.result,
    }


def _materials(role: str, origin: Origin) -> Iterator[dict[str, object]]:
    """Every file that went in, and the commit where the hub had it."""
    notes = {"role": role, "asked": origin.asked, "resolved": origin.resolved}
    found = _HUB.fullmatch(origin.resolved)
    if found is not None:
        yield {
            "uri": origin.resolved,
            "digest": {"gitCommit": found["commit"]},
            "annotations": notes,
        }
    for file in origin.files:
        yield {"name": file.path, "digest": {"sha256": file.sha256}, "annotations": notes}


def _tools(lineage: Lineage) -> list[str]:
    """Package URLs of what ran."""
    used = {tool for step in lineage.steps for tool in step.tools.items()}
    return [f"pkg:pypi/{quote(name, '')}@{quote(version, '')}" for name, version in sorted(used)]
