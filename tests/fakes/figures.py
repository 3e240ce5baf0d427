"""A line of figures that a test says at the end of the run."""

from collections.abc import Callable

Figures = Callable[[str], None]
