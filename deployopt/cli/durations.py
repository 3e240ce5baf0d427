"""Times on a command line; a matrix's file has them too, so they are read in `core`."""

from deployopt.core.durations import read_duration

__all__ = ["read_duration"]
