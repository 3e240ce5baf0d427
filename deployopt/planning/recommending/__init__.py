"""Which model for a task on a target, made small how, trained how and where, with the numbers."""

from deployopt.planning.recommending.recommend import recommend

__all__ = ["recommend"]
