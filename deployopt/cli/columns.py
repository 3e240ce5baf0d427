"""Which column of a data file is what, as the command line says it."""

from deployopt.core.errors import UsageError


def read_columns(options: list[str] | None) -> dict[str, str]:
    """`["text=review"]` as a mapping.

    Raises:
        UsageError: not of that form, or another role than text and label.
    """
    columns = {}
    for option in options or []:
        role, sign, name = option.partition("=")
        if not sign or role not in {"text", "label"}:
            raise UsageError(f"--column {option!r} is not text=NAME or label=NAME.")
        columns[role] = name
    return columns
