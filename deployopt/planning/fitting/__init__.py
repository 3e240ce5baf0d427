"""What fits a target: every precision and way of training, with what is left and what to give up.

In: a request and a model's shape, or its graph's facts. Out: a `Fit`.
"""

from deployopt.planning.fitting.inference import fit_graph, fit_inference
from deployopt.planning.fitting.training import best_training, fit_training

__all__ = ["best_training", "fit_graph", "fit_inference", "fit_training"]
