"""The table of steps names each by its own name."""

import msgspec

from deployopt.steps.table import STEPS


def test_every_step_stands_under_its_name_and_has_defaults() -> None:
    assert list(STEPS) == [
        "prune",
        "distil",
        "export",
        "optimize",
        "smooth",
        "quantize-dynamic",
        "quantize-static",
        "quantize-weights",
        "convert-openvino",
        "quantize-openvino",
        "quantize-symmetric",
        "quantize-float8",
        "convert-half",
        "convert-bfloat16",
        "allow-tf32",
        "build-engine",
        "open-on-card",
        "configure",
        "calibrate-decoder",
        "export-decoder",
        "quantize-decoder",
        "quantize-cache",
    ]
    for name, step in STEPS.items():
        made = step()
        assert made.name == name
        assert made.version >= 1
        assert msgspec.json.decode(msgspec.json.encode(made), type=step) == made
