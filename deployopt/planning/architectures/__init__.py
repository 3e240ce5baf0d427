"""From a model's `config.json` to its shape and exact parameter count, as arithmetic."""

from deployopt.planning.architectures.reading import read_architecture

__all__ = ["read_architecture"]
