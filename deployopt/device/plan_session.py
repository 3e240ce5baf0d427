"""A graph on the card through TensorRT itself, which opens the plan that it built of it here.

In: a Setup whose model is a graph for a card. Out: a session. Refuses machines without a driver, a
card or TensorRT, and graphs of which TensorRT builds no plan.
"""

from deployopt.core.engine import BUILDERS
from deployopt.device.card_watch import free_on_card
from deployopt.device.cuda_driver import CudaDriver, describe_card
from deployopt.device.plans import plan_for
from deployopt.device.setup import Setup
from deployopt.device.tensorrt_library import import_tensorrt
from deployopt.device.tensorrt_session import EngineSession, deserialized


def open_plan(setup: Setup) -> EngineSession:
    """Open it; raises as `open_session` does."""
    library = import_tensorrt()
    # A context of ours comes after the build, whose process wants the card's memory.
    plan = plan_for(setup, library.__version__, describe_card(), free_on_card())
    card = CudaDriver()
    engine = deserialized(library, plan.data, BUILDERS["tensorrt"].name)
    return EngineSession(engine, plan.listing, card, setup.outputs)
