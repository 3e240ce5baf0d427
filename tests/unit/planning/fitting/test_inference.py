"""What fits: known models on known cards, and the edges of what was asked."""

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.fit import Fit, Use
from deployopt.core.plan import Facts
from deployopt.core.request import FitRequest
from deployopt.core.standing import Standing
from deployopt.planning.fitting import fit_graph, fit_inference
from deployopt.planning.memory import inference_need
from deployopt.planning.targets import load_target
from tests.fakes.transformers_shapes import decoder, encoder, llama


def ask(target: str, **options: object) -> FitRequest:
    return msgspec.structs.replace(FitRequest(model="x", target=load_target(target)), **options)


def uses(fit: Fit) -> dict[Precision, Use]:
    return {use.precision: use for use in fit.uses}


def test_llama_2_on_a_12_gb_card() -> None:
    fit = fit_inference(ask("rtx3060"), "llama-2-7b", llama())
    found = uses(fit)
    assert found[Precision.FP16].standing is Standing.OUTSIDE
    assert found[Precision.INT8].standing is Standing.INSIDE
    assert found[Precision.INT4].standing is Standing.INSIDE
    assert fit.best is not None
    assert fit.uses[fit.best].precision is Precision.INT8
    assert all(use.context == 2048 for use in fit.uses)
    assert fit.give_up == ()


def test_uses_stand_from_the_highest_precision_to_the_lowest() -> None:
    asked = (Precision.INT4, Precision.FP16, Precision.FP32)
    fit = fit_inference(ask("rtx3060", precisions=asked), "x", llama())
    assert [use.precision for use in fit.uses] == list(reversed(asked))


def test_the_largest_batch_and_context_are_the_edge() -> None:
    request = ask("rtx3060")
    use = uses(fit_inference(request, "x", llama()))[Precision.INT4]
    assert use.largest_batch is not None
    assert use.largest_context == 4096

    def upper(batch: int) -> float:
        need = inference_need(
            llama(), target=request.target, precision=Precision.INT4, batch=batch, context=2048
        )
        return need.total.upper

    assert upper(use.largest_batch) <= use.available_bytes < upper(use.largest_batch + 1)


def test_a_model_too_large_for_one_card_is_split() -> None:
    fit = fit_inference(ask("a100x4"), "llama-2-70b", llama(70))
    use = uses(fit)[Precision.INT8]
    assert use.standing is Standing.INSIDE
    assert use.devices in {2, 4}
    assert f"split over {use.devices} of the 4 GPUs" in use.note
    assert uses(fit)[Precision.FP32].standing is Standing.OUTSIDE


def test_what_is_not_computed_here_is_said_and_not_refused() -> None:
    use = uses(fit_inference(ask("rpi4"), "x", encoder()))[Precision.FP16]
    assert not use.supported
    assert use.note == "stored in fp16, computed in fp32"
    assert use.standing is Standing.INSIDE


def test_images_have_no_context() -> None:
    use = fit_inference(ask("rpi4"), "x", encoder()).uses[0]
    assert use.context is use.largest_context is None
    assert use.largest_batch is not None


def test_more_tokens_than_a_model_reads_are_cut_with_a_warning() -> None:
    fit = fit_inference(ask("rtx3060", context=1000), "x", decoder(learned_positions=True))
    assert fit.uses[0].context == fit.uses[0].largest_context == 64
    assert fit.warnings == (
        "1,000 tokens were asked for; the model's config allows 64, counted with.",
    )


def test_more_tokens_than_a_rotary_model_knows_are_counted_with_a_warning() -> None:
    fit = fit_inference(ask("rtx3060", context=1000), "x", decoder())
    assert fit.uses[0].context == fit.uses[0].largest_context == 1000
    (warning,) = fit.warnings
    assert "speaks of 64" in warning
    assert "counted with 1,000" in warning


@pytest.mark.parametrize(("parameters", "fits"), [(66_000_000, True), (10**12, False)])
def test_a_graph_is_judged_by_its_weights(parameters: int, fits: bool) -> None:  # noqa: FBT001 -- a column
    facts = Facts(
        parameters=parameters,
        weight_bytes=4 * parameters,
        operations=(),
        peak_activation_bytes=10**7,
        basis="a graph",
    )
    fit = fit_graph(ask("rpi4", batch=2), "model.onnx", facts)
    assert fit.architecture is None
    assert (fit.best == 0) is fits
    assert [use.precision for use in fit.uses] == [Precision.FP32, Precision.FP16, Precision.INT8]
    assert bool(fit.give_up) is not fits
