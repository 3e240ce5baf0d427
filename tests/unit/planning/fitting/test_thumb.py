"""Rules of thumb, with their numbers."""

from deployopt.core.request import FitRequest
from deployopt.planning.fitting import fit_inference, fit_training
from deployopt.planning.targets import load_target
from tests.fakes.transformers_shapes import llama


def test_inference_is_set_against_the_weights() -> None:
    request = FitRequest(model="x", target=load_target("a100"))
    (line,) = fit_inference(request, "x", llama()).cross_checks
    assert line == (
        "fp32: weights x 1.2 to 1.4 = 30.1 GiB to 35.1 GiB; here 28.3 GiB, 6 % below the rule."
    )


def test_a_split_copy_is_counted_whole() -> None:
    request = FitRequest(model="x", target=load_target("a100x4"))
    fit = fit_inference(request, "x", llama(70))
    assert fit.best is not None
    use = fit.uses[fit.best]
    assert use.devices > 1
    assert f"here {use.need.total.value * use.devices / 2**30:.1f} GiB" in fit.cross_checks[0]


def test_training_is_set_against_three_to_six_times() -> None:
    request = FitRequest(model="x", target=load_target("rtx3060"), training=True)
    lines = fit_training(request, "x", llama()).cross_checks
    assert lines[0].startswith("full training: fp32 weights x 3 to 6 = 75.3 GiB to 151 GiB, x 4")
    assert lines[0].endswith("within the rule.")
    assert "below the rule" in lines[1]
