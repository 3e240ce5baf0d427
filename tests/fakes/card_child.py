"""A measured process on a machine with a card, of which the CPU is in the place.

Usage: as deployopt/device/child.py, in whose place it is started.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def on_the_cpu() -> None:
    """ONNX Runtime's provider for CPUs as if it were CUDA's, in this process."""
    import onnxruntime

    from deployopt.core.card_options import capture_options
    from deployopt.device import card_session, placement
    from deployopt.device.setup import Setup

    def providers(setup: Setup) -> list[tuple[str, dict[str, str]]]:
        # What a CPU knows nothing of it leaves alone.
        return [("CPUExecutionProvider", capture_options("cuda", setup.session))]

    there = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    changed = {
        (onnxruntime, "get_available_providers"): lambda: there,
        (card_session, "CARD_PROVIDERS"): {"cuda": "CPUExecutionProvider"},
        (card_session, "driver_missing"): lambda: None,
        (card_session, "_providers"): providers,
        (card_session, "_PLACE"): "cpu",
        (placement, "CPU"): "another one",
    }
    for (module, name), value in changed.items():
        setattr(module, name, value)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    on_the_cpu()
    from deployopt.device.child import main

    sys.exit(main(sys.argv[1:]))
