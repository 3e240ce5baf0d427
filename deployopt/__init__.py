"""From a trained model and a target device to an artifact that is proved to meet its budgets."""

__version__ = "0.1.0"
