"""Benchmarks run where they are asked for: the project's options leave them out of test runs."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Undo --benchmark-skip."""
    config.option.benchmark_skip = False
