"""Published rows as questions: names, units, conventions."""

import pytest

from benchmarks.devices import devices, find_device
from benchmarks.latency_models import (
    Convolutional,
    Relative,
    Transformer,
    architecture_of,
    convolutional_operations,
    find_model,
    table,
    typical_model,
)
from benchmarks.latency_rows import Row, read_row
from benchmarks.latency_settings import UnreadableRowError, read_precision, read_runtime

FIELDS = {
    "device": "rpi4", "model": "resnet50", "task": "classification", "params_m": "25.5",
    "gflops": "7.716", "precision": "fp32", "batch": "1", "input": "224",
    "runtime": "ncnn-cpu-4t", "latency_ms_or_tok_s": "100", "unit": "ms", "source": "", "note": "",
}  # fmt: skip


def row(**changed: str) -> Row:
    return read_row(2, {**FIELDS, **changed})


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("rpi4", "rpi4"), ("Raspberry Pi 4 Model B", "rpi4"), ("rpi5_2900MHz", "rpi5_2900mhz"),
        ("Raspberry Pi 5 8GB", "rpi5"), ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("rtx 3060 12GB", "rtx3060_12gb"), ("A100-SXM4-80GB", "a100_80"), ("a100", "a100_40"),
        ("jetson_orin_nx_16gb", "jetson_orin_nx16"), ("i7-13700K", "cpu_i7_13700k"),
        ("Tesla T4", "t4"), ("M2 Ultra", "apple_m2_ultra"), ("rtx3070ti", "rtx3070ti"),
        ("rpi4_1500MHz", "rpi4"), ("Snapdragon 855+", "sd855"), ("Pixel 3", "sd845"),
        ("AMD Ryzen Embedded V1605B", "ryzen_v1605b"), ("Xeon E5-2690 v4", "xeon_e5_2650v4"),
        ("Intel Core i7-10750H CPU @ 2.60GHz", "cpu_i7_9750h"), ("pi5", "rpi5"), ("Pi 4", "rpi4"),
        ("rpi4_64bit", "rpi4"), ("M2 Pro GPU", "apple_m2_pro"), ("colab t4", "t4"),
        ("macbook pro m3 max", "apple_m3_max"), ("orin", "jetson_agx_orin"),
        ("c7g.xlarge", "graviton3_4c"), ("c5.2xlarge", "xeon_8259cl_4c"),
        ("Xeon E5-2686 v4 8 vCPU", "xeon_e5_2686v4_4c"), ("g4dn.xlarge", "t4"),
        ("orange pi 5", "rk3588"),
    ],
)  # fmt: skip
def test_devices_however_they_are_spelt(written: str, name: str) -> None:
    found = find_device(written)
    assert found is not None
    assert found.name == name


def test_the_table_of_devices_is_broad_and_sourced() -> None:
    listed = {device.name: device for device in devices().values()}
    assert len(listed) > 250
    for device in listed.values():
        assert device.source
        assert device.is_cpu != bool(device.fp32), device.name
        assert 0.5 < device.bandwidth < 10_000, device.name
    assert find_device("abacus") is None


def test_four_threads_of_a_pi_have_its_whole_rate_and_one_more_than_a_quarter() -> None:
    pi = devices()["rpi4"]
    assert pi.operations(4) == pytest.approx(57.6e9)
    assert pi.operations(1) == pytest.approx(57.6e9 / 1.8, rel=0.02)
    part = find_device("c6i.2xlarge")
    assert part is not None
    assert (part.cores, part.bandwidth) == (((4, 2.6, 64),), 40)


def test_fast_cores_wait_for_slow_ones() -> None:
    hybrid = find_device("i7-12700k")
    assert hybrid is not None
    assert hybrid.operations(8) == pytest.approx(8 * 4.7e9 * 32 / (1 + 0.06 * 7))
    assert hybrid.operations(12) < 1.1 * hybrid.operations(8)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("resnet50_int8", "resnet50"), ("mobilenet_v1", "mobilenetv1_100"), ("YOLOv8m", "yolov8m"),
        ("yolov8n-seg", "yolov8n"), ("bert-base-uncased", "bert-base"),
        ("Llama-3.1-8B-Instruct", "llama3-8b"), ("Qwen/Qwen2.5-7B-Instruct", "qwen2.5-7b"),
        ("shufflenet_v2", "shufflenet_v2_x1_0"), ("all-MiniLM-L6-v2", "minilm-l6"),
        ("mobilenetv3_large_100", "mobilenet_v3_large"), ("rt-detr-r50", "rtdetr-r50"),
        ("mobilenet_v1_1.0_224", "mobilenetv1_100"), ("swin_tiny", "swin_t"),
    ],
)  # fmt: skip
def test_models_however_they_are_spelt(written: str, name: str) -> None:
    found = find_model(written)
    assert found is not None
    assert found.name == name


def test_unknown_models_are_like_their_kind() -> None:
    light, dense = typical_model("tinymobilenetx", ""), typical_model("superresnet", "")
    assert light is not None
    assert light.name == "mobilenet_v2"
    assert dense is not None
    assert dense.name == "resnet50"
    assert typical_model("x", "segmentation") is dense
    assert typical_model("x", "y") is None


@pytest.mark.parametrize("model", [*table().convolutional, *table().relative], ids=lambda m: m.name)
def test_operators_have_the_asked_size(model: Convolutional | Relative) -> None:
    found = convolutional_operations(model, 5.0, 10.0)
    assert 2 * sum(o.macs * o.count for o in found) == pytest.approx(5e9, rel=1e-3)
    assert all(o.count >= 1 and o.activations > 0 for o in found)


@pytest.mark.parametrize(
    ("name", "billions"),
    [("llama2-7b", 6.74), ("llama3-8b", 8.03), ("qwen2.5-0.5b", 0.494), ("bert-large", 0.335),
     ("mixtral-8x7b", 46.7), ("gemma-2b", 2.51), ("phi-3-mini", 3.82), ("llama2-70b", 69.0)],
)  # fmt: skip
def test_shapes_give_their_models_parameters(name: str, billions: float) -> None:
    model = find_model(name)
    assert isinstance(model, Transformer)
    assert architecture_of(model).parameters == pytest.approx(1e9 * billions, rel=0.03)


@pytest.mark.parametrize(
    ("text", "family", "threads"),
    [
        ("ncnn-cpu-4t", "ncnn", 4), ("ncnn-vulkan", "ncnn-vulkan", None),
        ("llama.cpp/ollama", "ggml", None), ("onnxruntime-cuda", "onnxruntime-cuda", None),
        ("onnxruntime-cpu-2t", "onnxruntime", 2), ("TensorRT 10", "tensorrt", None),
        ("whisper.cpp-neon-4t", "ggml", 4), ("litgpt-eager", "eager", None),
        ("xnnpack-4t-32bit", "xnnpack", 4), ("trt-llm", "vllm", None),
    ],
)  # fmt: skip
def test_runtimes(text: str, family: str, threads: int | None) -> None:
    found = read_runtime(text)
    assert (found.family, found.threads) == (family, threads)


def test_interpreters_of_a_source_run_as_it_runs_them() -> None:
    source = "ultralytics/ultralytics docs"
    assert read_runtime("tflite", source).threads == 1
    assert read_runtime("tflite").threads is None
    assert read_runtime("tflite-4t", source).threads == 4
    whole = row(device="rpi5", runtime="mnn").setting
    half = row(device="rpi5", runtime="mnn", source=source).setting
    assert 0.5 < half.operations / whole.operations < 1
    assert read_runtime("tensorrt", "NVIDIA/TensorRT demo/BERT").variant == "tensorrt demo"


def test_a_family_of_cpu_runtimes_on_a_gpu_is_another() -> None:
    assert row(device="v100", runtime="paddle-gpu").setting.runtime == "onnxruntime-cuda"
    assert row(runtime="paddle-4t").setting.runtime == "ncnn"


def test_pytorch_convolves_in_tf32_where_a_card_has_it() -> None:
    image = {"device": "a100", "runtime": "pytorch", "precision": "fp32"}
    text = {**image, "model": "bert-base", "task": "nlp", "gflops": "", "params_m": ""}
    assert row(**image).setting.arithmetic == "tf32"
    assert row(**text).setting.arithmetic == "fp32"
    assert row(**image).setting.plain is False
    assert row(**{**image, "device": "jetson_nano"}).setting.plain is True


@pytest.mark.parametrize(
    ("text", "arithmetic", "bits"),
    [("q4_k_m", "quantized", 4.85), ("q8_0", "quantized", 8.5), ("gptq-int4", "quantized", 4.5),
     ("gptq-int8", "quantized", 8.25), ("nf4", "quantized", 4.5), ("fp8", "fp8", 8),
     ("bf16", "fp16", 16), ("int8?", "int8", 8), ("fp32", "fp32", 32)],
)  # fmt: skip
def test_precisions(text: str, arithmetic: str, bits: float) -> None:
    found, weight_bytes = read_precision(text)
    assert found == arithmetic
    assert weight_bytes == pytest.approx(bits / 8)


def test_a_row_in_multiply_adds_is_doubled_and_another_size_is_not() -> None:
    assert row().gflops == pytest.approx(7.716, rel=1e-3)
    assert row(gflops="3.86").gflops == pytest.approx(7.72, rel=1e-3)
    assert row(gflops="16.0", input="320").gflops == pytest.approx(16.0, rel=1e-3)
    assert row(gflops="").gflops == pytest.approx(8.18, rel=0.01)


@pytest.mark.parametrize(
    ("gflops", "size", "whole"),
    [("4.2", "160", 4.2), ("2.1", "160", 4.2), ("", "448", 32.7), ("8.18", "448", 32.7),
     ("", "3x448x448", 32.7), ("", "448x224", 16.4), ("4.09", "224", 8.18)],
)  # fmt: skip
def test_another_size_of_image_is_another_amount_of_work(
    gflops: str, size: str, whole: float
) -> None:
    assert row(gflops=gflops, input=size).gflops == pytest.approx(whole, rel=0.02)


@pytest.mark.parametrize("gflops", ["2.52", "2580"])
def test_gflops_of_a_batch_of_image_transformers_are_read_either_way(gflops: str) -> None:
    known = row(model="vit_tiny_patch16_224", params_m="5.72", gflops=gflops, batch="1024")
    other = row(model="my_vit", params_m="5.72", gflops=gflops, batch="1024")
    assert known.gflops == pytest.approx(2580, rel=0.01)
    assert other.gflops == pytest.approx(2580, rel=0.01)


def test_ncnn_computes_in_half_where_the_device_can() -> None:
    assert row(device="rpi5").setting.arithmetic == "fp16"
    assert row().setting.arithmetic == "fp32"
    assert row(device="rpi5", runtime="tflite").setting.arithmetic == "fp32"


def test_batches_of_images_are_whole_or_each_as_the_note_says() -> None:
    each = row(batch="8", note="value is per image")
    whole = row(batch="8")
    assert each.gflops == whole.gflops == pytest.approx(8 * 7.716, rel=1e-3)
    assert each.seconds == pytest.approx(0.8)
    assert whole.seconds == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("unit", "seconds"),
    [("img/s", 0.32), ("fps", 0.32), ("qps", 0.32), ("samples/s", 0.32), ("seq/s", 0.32),
     ("sentences/s", 0.32), ("imgs/sec", 0.32), ("infer/s", 0.32), ("it/s", 0.01), ("ms", 0.1),
     ("s", 100)],
)  # fmt: skip
def test_rates_count_items_and_times_are_of_the_batch(unit: str, seconds: float) -> None:
    assert row(batch="32", unit=unit).seconds == pytest.approx(seconds)


def test_rates_of_tokens_become_times() -> None:
    token = row(
        device="rtx3090", model="llama3-8b", task="llm-decode", params_m="8030", gflops="16.1",
        precision="q4_k_m", input="tg512", runtime="llama.cpp-cuda", latency_ms_or_tok_s="100",
        unit="tok/s",
    )  # fmt: skip
    assert (token.domain, token.group, token.seconds) == ("decode", "LLM decode", 0.01)
    prompt = row(
        device="rtx3090", model="llama3-8b", task="llm-prefill", params_m="8030", gflops="16.1",
        precision="fp16", input="pp512", runtime="llama.cpp-cuda", latency_ms_or_tok_s="4096",
        unit="tok/s",
    )  # fmt: skip
    assert (prompt.domain, prompt.seconds) == ("prefill", 0.125)
    timed = row(
        device="rtx3090", model="llama3-8b", task="llm-prefill", params_m="8030", gflops="",
        precision="fp16", input="pp512", runtime="llama.cpp-cuda", latency_ms_or_tok_s="125",
        unit="ms",
    )  # fmt: skip
    assert timed.seconds == 0.125


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"device": "teapot"}, "not in data/devices.toml"),
        ({"device": "rtx3090"}, "processor beside"),
        ({"runtime": "abacus"}, "runtime"),
        ({"precision": "ternary"}, "precision"),
        ({"unit": "furlongs"}, "unit"),
        ({"latency_ms_or_tok_s": "n/a"}, "no measured value"),
        ({"note": "low trust: exclude from fits"}, "low trust"),
        ({"device": "v100", "runtime": "ncnn-vulkan", "precision": "int8"}, "off the GPU"),
        ({"model": "mystery", "task": "", "gflops": ""}, "not known"),
    ],
)
def test_what_cannot_be_predicted_says_why(changed: dict[str, str], reason: str) -> None:
    with pytest.raises(UnreadableRowError, match=reason):
        row(**changed)
