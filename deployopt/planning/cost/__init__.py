"""Money and joules: own hardware against the cloud, and what a training run costs."""

from deployopt.planning.cost.inference import inference_cost
from deployopt.planning.cost.reading import read_prices
from deployopt.planning.cost.training import training_cost, training_hours

__all__ = ["inference_cost", "read_prices", "training_cost", "training_hours"]
