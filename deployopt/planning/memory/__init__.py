"""What running or training a model takes of a device's memory, part by part, from its shape alone.

In: an architecture, a target, a way of running or training. Out: a `MemoryNeed` whose parts add up.
Formulas, no fitted constants; where a formula has a published source, its file names it.
"""

from deployopt.planning.memory.inference import graph_need, inference_need
from deployopt.planning.memory.training import training_need

__all__ = ["graph_need", "inference_need", "training_need"]
