"""Schema bytes do not depend on how a Python indents docstrings."""

from deployopt.core.schemas import schema_bytes


def test_descriptions_lose_their_indentation_and_nothing_else_changes() -> None:
    indented = {
        "description": "One.\n\n    Two.\n    ",
        "items": [{"description": "a", "x": " b "}],
    }
    plain = {"description": "One.\n\nTwo.", "items": [{"description": "a", "x": " b "}]}
    assert schema_bytes(indented) == schema_bytes(plain)
    assert b'"x": " b "' in schema_bytes(indented)


def test_a_property_named_description_is_kept() -> None:
    assert b'"type": "string"' in schema_bytes({"description": {"type": "string"}})
