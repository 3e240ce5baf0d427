"""Predictions: the sum itself, its bands, and figures that were measured elsewhere."""

import math

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.errors import UsageError
from deployopt.core.judging.suitable import OF_LANGUAGE
from deployopt.core.metric import METRICS, find_metric
from deployopt.core.plan import Facts, Operation
from deployopt.core.target import Target
from deployopt.core.workload import Workload
from deployopt.planning.architectures import read_architecture
from deployopt.planning.experience import Correction
from deployopt.planning.operations import facts_of
from deployopt.planning.predict import (
    forecast,
    predict_energy,
    predict_latency,
    predict_memory,
    throughput_of,
)
from deployopt.planning.predict import predict_size as size_of
from deployopt.planning.targets import load_target, target_names

MINILM = {
    "model_type": "bert",
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "intermediate_size": 1536,
    "num_attention_heads": 12,
}


SPOKEN = {name for name, metric in METRICS.items() if metric.kind in OF_LANGUAGE}
"""Predicted by planning/generation.py."""


def facts(config: dict[str, object], length: int = 128) -> Facts:
    return facts_of(read_architecture(config), Workload(), length)


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


def test_quantiles_and_bands_go_with_the_median() -> None:
    target, model = load_target("rpi4"), one("gemm", 5e8, 1e6, 2e6, count=3)
    median = predict_latency(target, model, Precision.FP32)
    slow = predict_latency(target, model, Precision.FP32, 0.95)
    assert median is not None
    assert slow is not None
    assert slow.value == pytest.approx(1.1 * median.value)
    assert slow.upper / slow.value == pytest.approx(median.value / median.lower)
    assert slow.coverage == 0.8
    assert "published runs" in slow.basis


def test_a_correction_replaces_factor_band_and_basis() -> None:
    target, model = load_target("rpi4"), facts(MINILM)
    learnt = Correction(factor=1.5, band=1.3, points=4, sentence="as four models ran here")
    plain = predict_latency(target, model, Precision.FP32)
    found = predict_latency(target, model, Precision.FP32, correction=learnt)
    assert plain is not None
    assert found is not None
    assert found.value == pytest.approx(1.5 * plain.value)
    assert found.upper == pytest.approx(1.3 * found.value)
    assert found.basis.startswith("as four models ran here")
    given = forecast(target, model, Precision.FP32, ["latency_p50", "energy"], learnt)
    assert given["latency_p50"] == found
    assert given["energy"].upper == pytest.approx(1.2 * 6.4 * found.upper)


@pytest.mark.parametrize("precision", [Precision.TF32, Precision.FP8])
def test_what_a_cpu_has_no_arithmetic_for_is_not_predicted(precision: Precision) -> None:
    target, model = load_target("rpi5"), facts(MINILM)
    assert predict_latency(target, model, precision) is None
    assert predict_energy(target, model, precision) is None
    left = forecast(target, model, precision, METRICS)
    assert set(left) == {"memory_peak", "artifact_size"} & set(METRICS)


def test_a_card_without_int8_computes_in_fp16_and_says_so() -> None:
    target = load_target("l4")
    peak = msgspec.structs.replace(target.hardware.peak, int8=None)
    hardware = msgspec.structs.replace(target.hardware, peak=peak)
    found = predict_latency(
        msgspec.structs.replace(target, hardware=hardware), facts(MINILM), Precision.INT8
    )
    assert found is not None
    assert "no peak of int8 given: computed in fp16" in found.basis


def test_throughput_is_of_all_copies_and_falls_with_latency() -> None:
    latency = predict_latency(load_target("a100"), facts(MINILM), Precision.FP16)
    assert latency is not None
    one, four = throughput_of(latency, 8), throughput_of(latency, 8, 4)
    assert one.value == pytest.approx(8 / latency.value)
    assert one.lower == pytest.approx(8 / latency.upper)
    assert four.value == pytest.approx(4 * one.value)
    assert "on each of 4 devices" in four.basis


@pytest.mark.parametrize("name", target_names())
@pytest.mark.parametrize("precision", list(Precision))
def test_every_target_has_a_whole_forecast(name: str, precision: Precision) -> None:
    target = load_target(name)
    found = forecast(target, facts(MINILM), precision, METRICS)
    slower = target.runtime.provider == "cpu" and precision in {Precision.TF32, Precision.FP8}
    timed = (
        {n for n in METRICS if n.startswith("latency")} | {"energy", "throughput"}
        if slower
        else set()
    )
    assert (
        set(found) == set(METRICS) - {"accuracy_drop", "map_drop", "recall_drop"} - timed - SPOKEN
    )
    for metric, estimate in found.items():
        assert 0 <= estimate.lower < estimate.value < estimate.upper < math.inf
        assert estimate.coverage == (0.9 if metric == "memory_peak" else 0.8)
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
    assert latency is not None
    assert energy is not None
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
    assert found is not None
    assert found.lower <= 0.61165 <= found.upper


def test_no_counted_work_is_not_predicted_and_never_zero() -> None:
    nothing = Facts(
        parameters=32, weight_bytes=128, operations=(), peak_activation_bytes=0, basis="empty"
    )
    for name in ("rpi4", "a100"):
        assert predict_latency(load_target(name), nothing, Precision.FP32) is None
        assert predict_energy(load_target(name), nothing, Precision.FP32) is None


@pytest.mark.parametrize(
    ("parameters", "lookups", "precision", "measured"),
    [
        # Engines for compute capability 8.6, as they lay on disk.
        (22_713_216, 11_918_208, Precision.FP32, 95_560_732),
        (22_713_216, 11_918_208, Precision.FP16, 50_289_508),
        (22_713_216, 11_918_208, Precision.INT8, 40_273_140),
        (4_652_008, 0, Precision.FP32, 19_196_932),
        (4_652_008, 0, Precision.FP16, 9_988_148),
        (4_652_008, 0, Precision.INT8, 17_970_428),
    ],
)
def test_engines_that_were_built_lie_in_the_band(
    parameters: int, lookups: int, precision: Precision, measured: int
) -> None:
    model = msgspec.structs.replace(
        one("gemm" if lookups else "conv", 1e8, parameters, 1e5),
        embedding_parameters=lookups,
        weight_bytes=4 * parameters,
    )
    found = size_of(with_engines("rtx3060"), model, precision)
    assert found.lower <= measured <= found.upper


def with_engines(name: str) -> Target:
    target = load_target(name)
    runtime = msgspec.structs.replace(target.runtime, provider="tensorrt-rtx")
    return msgspec.structs.replace(target, runtime=runtime)


def test_an_engine_brings_kernels_along_and_a_graph_does_not() -> None:
    model = facts(MINILM)
    engine = size_of(with_engines("a100"), model, Precision.FP16)
    graph = size_of(load_target("a100"), model, Precision.FP16)
    assert engine.value - graph.value == pytest.approx(2.5e6)
    assert "kernels" in engine.basis
    assert "kernels" not in graph.basis


def test_of_several_cards_one_is_predicted_and_copies_are_told() -> None:
    four, model = load_target("a100x4"), facts(MINILM)
    rate = forecast(four, model, Precision.FP16, ["throughput"])["throughput"]
    alone = forecast(load_target("a100"), model, Precision.FP16, ["throughput"])["throughput"]
    assert rate.value == pytest.approx(alone.value, rel=0.3)
    assert rate.basis.startswith("on one of 4 cards, and 4 times as many with a copy on each; ")
    assert "cards" not in alone.basis
