"""Times as people type them: `90s`, `40m`, `2h`.

Text goes in, seconds come out; a wrong one is an error that shows how it is written.
"""

from deployopt.core.errors import UsageError
from deployopt.core.units import Dimension, parse_quantity


def read_duration(text: str, option: str) -> float:
    """Seconds above zero; `m` is minutes, as clocks are read.

    Raises:
        UsageError: not a time.
    """
    written = text.strip()
    if written.endswith("m") and not written.endswith("mm"):
        written = f"{written[:-1].strip()} min"
    try:
        seconds = parse_quantity(written, Dimension.TIME)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{option} {text!r}: {error}. Write e.g. 90s, 40m or 2h.") from error
    if seconds <= 0:
        raise UsageError(f"{option} {text!r} leaves no time. Write e.g. 90s, 40m or 2h.")
    return seconds
