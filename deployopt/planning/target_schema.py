"""The JSON Schema of a target file, for editors: what `load_target` accepts, key by key."""

from typing import Any, Final

import msgspec

from deployopt.core.metric import METRICS
from deployopt.core.schemas import schema_bytes
from deployopt.core.target import Target
from deployopt.core.units import UNITS, Quantity, quantity_pattern

_ID: Final = "https://raw.githubusercontent.com/deployopt/deployopt/main/docs/target.schema.json"


def target_schema() -> bytes:
    """JSON Schema 2020-12, indented, the same bytes every time."""
    (reference,), parts = msgspec.json.schema_components(
        [Target], schema_hook=_quantity_schema, ref_template="#/$defs/{name}"
    )
    parts["Target"]["properties"]["budgets"] = _budgets_schema()
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _ID,
        "title": "deployopt target",
        **reference,
        "$defs": parts,
    }
    return schema_bytes(schema)


def _quantity_schema(kind: type) -> dict[str, Any]:
    if not issubclass(kind, Quantity):
        raise NotImplementedError(f"{kind.__name__} has no schema")
    units = ", ".join(UNITS[kind.dimension])
    return {
        "type": "string",
        "pattern": quantity_pattern(kind.dimension),
        "description": f"a {kind.dimension} with its unit: {units}",
    }


def _budgets_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "Upper limits, each on one metric.",
        "additionalProperties": False,
        "properties": {
            metric.name: {
                "type": "string",
                "pattern": quantity_pattern(metric.dimension),
                "description": f"{metric.title}, in {', '.join(UNITS[metric.dimension])}",
            }
            for metric in METRICS.values()
        },
    }
