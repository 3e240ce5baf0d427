"""JSON Schemas as bytes: the same on every Python."""

import inspect
from typing import Any

import msgspec


def schema_bytes(schema: Any) -> bytes:  # noqa: ANN401 -- JSON is any of six types
    """The schema, indented, with a newline at the end.

    Descriptions come from docstrings, which Python 3.13 strips of their indentation and older ones
    do not.
    """
    return msgspec.json.format(msgspec.json.encode(_cleaned(schema)), indent=2) + b"\n"


def _cleaned(node: Any) -> Any:  # noqa: ANN401 -- as above
    if isinstance(node, dict):
        return {
            key: inspect.cleandoc(value)
            if key == "description" and isinstance(value, str)
            else _cleaned(value)
            for key, value in node.items()
        }
    return [_cleaned(item) for item in node] if isinstance(node, list) else node
