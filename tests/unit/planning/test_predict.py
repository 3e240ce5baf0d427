"""Predictions: the sum itself, its bands, and figures that were measured elsewhere."""

import math

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.errors import UsageError
from deployopt.core.metric import METRICS, find_metric
from deployopt.core.plan import Facts, Operation
from deployopt.core.workload import Workload
from deployopt.planning.encoders import facts_from_config
from deployopt.planning.predict import forecast, predict_energy, predict_latency, predict_memory
from deployopt.planning.predict import predict_size as size_of
from deployopt.planning.rates import rates
from deployopt.planning.targets import load_target, target_names

MINILM = {
    "model_type": "bert",
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "intermediate_size": 1536,
    "num_attention_heads": 12,
}


def facts(config: dict[str, object], length: int = 128) -> Facts:
    found = facts_from_config(config, Workload(), length)
    assert found is not None
    return found


def one(kind: str, macs: float, weights: float, activations: float, count: int = 1) -> Facts:
    operation = Operation(
        kind=kind, macs=macs, weights=weights, activations=activations, count=count
    )
    return Facts(
        parameters=int(weights),
        weight_bytes=int(4 * weights),
        operations=(operation,),
        peak_activation_bytes=0,
        basis="one operator",
    )


def test_latency_is_the_sum_over_operators() -> None:
    target = load_target("rpi4")
    by_hand = 2 * 5e8 / (0.40 * 57.6e9) + 4 * 1e6 / (0.7 * 5.5e9) + 4 * 2e6 / (0.5 * 5.5e9) + 20e-6
    found = predict_latency(target, one("gemm", 5e8, 1e6, 2e6, count=3), Precision.FP32)
    assert found.value == pytest.approx(3 * by_hand)
    assert found.upper == pytest.approx(2.5 * found.value)
    assert found.lower == pytest.approx(found.value / 2.5)
    assert found.coverage == 0.8
    assert found.basis.startswith("datasheet only")


@pytest.mark.parametrize("kind", ["conv3x3", "conv", "depthwise", "unheard of"])
def test_other_kinds_reach_less_of_the_peak(kind: str) -> None:
    at = rates(load_target("rpi4"), Precision.FP32)
    assert 0 < at.of(kind) <= 0.45 * at.operations


@pytest.mark.parametrize("name", target_names())
@pytest.mark.parametrize("precision", list(Precision))
def test_every_target_has_a_whole_forecast(name: str, precision: Precision) -> None:
    target = load_target(name)
    found = forecast(target, facts(MINILM), precision, METRICS)
    assert set(found) == set(METRICS) - {"accuracy_drop"}
    for estimate in found.values():
        assert 0 <= estimate.lower < estimate.value < estimate.upper < math.inf
        assert estimate.coverage == 0.8
        assert estimate.basis


def test_quantiles_are_in_order() -> None:
    names = [name for name in METRICS if name.startswith("latency")]
    found = forecast(load_target("rpi4"), facts(MINILM), Precision.FP32, names)
    by_quantile = sorted(names, key=lambda name: find_metric(name).quantile or 0.0)
    values = [found[name].value for name in by_quantile]
    assert values == sorted(values)
    assert len(set(values)) == len(values)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(UsageError):
        forecast(load_target("rpi4"), facts(MINILM), Precision.FP32, ["latency_p96"])


@pytest.mark.parametrize("name", ["rpi4", "rpi4-2gb", "rpi4-8gb", "rpi5", "x86-cpu"])
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_a_small_sentiment_model_is_predicted_inside(name: str, precision: Precision) -> None:
    """MiniLM at the length that 95 % of movie snippets stay below, with the whole band."""
    target = load_target(name)
    found = forecast(target, facts(MINILM, 50), precision, target.budgets)
    for budget in target.limits:
        if budget.metric != "accuracy_drop":
            assert found[budget.metric].upper <= budget.limit, budget.metric


@pytest.mark.parametrize(
    ("precision", "measured_mib"),
    [(Precision.FP32, 415), (Precision.FP32, 403), (Precision.INT8, 146), (Precision.INT8, 173)],
)
def test_memory_of_distilbert_as_measured(precision: Precision, measured_mib: float) -> None:
    """Resident memory of onnxruntime with DistilBERT's shape, 1 x 128."""
    found = predict_memory(load_target("x86-cpu"), facts({"model_type": "distilbert"}), precision)
    assert found.lower <= measured_mib * 2**20 <= found.upper


def test_a_gpu_holds_a_context_too() -> None:
    found = predict_memory(load_target("t4"), facts(MINILM), Precision.FP16)
    assert 0.9e9 < found.value < 1.1e9
    assert found.upper - found.value > 0.5e9


def test_int8_takes_a_quarter_of_the_file() -> None:
    target, model = load_target("rpi4"), facts({"model_type": "distilbert"})
    whole, quarter = (size_of(target, model, p).value for p in (Precision.FP32, Precision.INT8))
    assert whole == pytest.approx(268e6, rel=0.02)
    assert quarter == pytest.approx(67e6, rel=0.05)


def test_energy_is_power_times_time() -> None:
    target, model = load_target("rpi4"), facts(MINILM)
    latency = predict_latency(target, model, Precision.FP32)
    energy = predict_energy(target, model, Precision.FP32)
    assert energy.value == pytest.approx(6.4 * latency.value)
    assert energy.upper == pytest.approx(1.2 * 6.4 * latency.upper)


def test_without_power_there_is_no_energy() -> None:
    target = load_target("rpi4")
    hardware = msgspec.structs.replace(target.hardware, power=None)
    bare = msgspec.structs.replace(target, hardware=hardware)
    assert forecast(bare, facts(MINILM), Precision.FP32, ["energy"]) == {}
    with pytest.raises(ValueError, match="no power"):
        predict_energy(bare, facts(MINILM), Precision.FP32)


def test_a_published_run_lies_inside_the_band() -> None:
    """ViT-B/32 at 384 pixels, four threads of a Pi 5, ncnn: 611.65 ms (its README, a4d2ea1d)."""
    config: dict[str, object] = {"model_type": "vit", "image_size": 384, "patch_size": 32}
    found = predict_latency(load_target("rpi5"), facts(config), Precision.FP32)
    assert found.lower <= 0.61165 <= found.upper
