"""What a published row ran on: device, runtime, threads, arithmetic.

In: the row's device, runtime and precision as they are written. Out: a setting of the predictor, or
an error that says what is not known.
"""

import math
import re
from typing import Final, NamedTuple

from benchmarks.devices import Device, devices, find_device, squeeze
from deployopt.planning.rates import PLAIN
from deployopt.planning.terms import Domain, Setting


class UnreadableRowError(ValueError):
    """A row that cannot be predicted; the message says why."""


# Runtimes by a piece of their name: family and whether it runs on the GPU (None: as the device).
_FAMILIES: Final = (
    ("ncnn-vulkan", "ncnn-vulkan", True),
    ("ncnn", "ncnn", False),
    ("whisper.cpp", "ggml", None),
    ("llama.cpp", "ggml", None),
    ("ollama", "ggml", None),
    ("llamafile", "ggml", None),
    ("lm studio", "ggml", None),
    ("kobold", "ggml", None),
    ("ggml", "ggml", None),
    ("tensorrt-llm", "vllm", True),
    ("trt-llm", "vllm", True),
    ("vllm", "vllm", True),
    ("sglang", "vllm", True),
    ("lmdeploy", "vllm", True),
    ("tgi", "vllm", True),
    ("exllama", "ggml", True),
    ("mlc", "ggml", None),
    ("mlx", "ggml", None),
    ("onnxruntime-tensorrt", "tensorrt", True),
    ("ort-tensorrt", "tensorrt", True),
    ("tensorrt", "tensorrt", True),
    ("trt", "tensorrt", True),
    ("onnxruntime-cuda", "onnxruntime-cuda", True),
    ("onnxruntime-gpu", "onnxruntime-cuda", True),
    ("ort-cuda", "onnxruntime-cuda", True),
    ("onnxruntime", "onnxruntime", None),
    ("onnx", "onnxruntime", None),
    ("ort", "onnxruntime", None),
    ("openvino-gpu", "openvino-gpu", True),
    ("openvino", "openvino", False),
    ("xnnpack", "xnnpack", False),
    ("tflite-gpu", "tflite-gpu", True),
    ("tflite", "tflite", False),
    ("litert", "tflite", False),
    ("tensorflow", "tensorflow", None),
    ("mnn", "mnn", False),
    ("pytorch-cpu", "pytorch", False),
    ("torchscript", "pytorch", None),
    ("torch.compile", "pytorch", None),
    ("litgpt", "eager", True),
    ("hf", "eager", None),
    ("transformers", "eager", None),
    ("eager", "eager", None),
    ("pytorch", "pytorch", None),
    ("torch", "pytorch", None),
    ("coreml", "coreml", True),
    ("paddle", "ncnn", None),
    ("tnn", "ncnn", None),
    ("mace", "ncnn", None),
)
_ON_GPU: Final = {
    "onnxruntime": "onnxruntime-cuda", "ncnn": "onnxruntime-cuda", "mnn": "onnxruntime-cuda",
}  # fmt: skip
"""What a family of CPU runtimes is like on a GPU."""
_HALF_BY_DEFAULT: Final = frozenset({"openvino", "ncnn", "ncnn-vulkan", "mnn"})
"""Compute in fp16 where the device can, whatever the weights were made in (OpenVINO: on ARM)."""
_OVERLAPPING: Final = frozenset({"eager", "pytorch"})


class Runtime(NamedTuple):
    """`family` as the predictor knows it, its `variant`, `threads` where they are said.

    `share`: the part of the cores that are used where no threads are said.
    """

    family: str
    variant: str
    threads: int | None
    share: float = 1.0


def read_runtime(text: str, source: str = "") -> Runtime:
    """Family, variant and threads of `ncnn-cpu-4t`, `llama.cpp-cuda` and the like."""
    name, source = text.lower(), source.lower()
    threads = re.search(r"(?<![a-z0-9])(\d{1,3})\s*(t|threads?)(?![a-z])", name)
    count = int(threads[1]) if threads else None
    found = next((family for piece, family, _ in _FAMILIES if piece in name), "")
    if not found:
        raise UnreadableRowError(f"runtime {text!r} is not known")
    if found == "onnxruntime" and _side(name):
        found = "onnxruntime-cuda"
    variant = re.sub(r"[-_ ]*\d{1,3}\s*(t|threads?)\b|[-_ ]cpu\b|[-_ ]v?\d+(\.\d+)*$", "", name)
    share = 1.0
    if "ultralytics" in source and count is None:
        # Its exports run TFLite's interpreter as it comes, and MNN on half of the cores.
        count, share = (1 if found == "tflite" else None), (0.5 if found == "mnn" else 1.0)
    if found == "tensorrt" and "nvidia/tensorrt" in source and "demo" in source:
        variant = f"{variant} demo"
    return Runtime(found, variant, count, share)


def _side(name: str) -> bool | None:
    """Whether a runtime's name says that it runs on a GPU; None where it does not."""
    if re.search(r"cuda|gpu|vulkan|metal|rocm|opencl|hip\b|sycl|directml|mps|-trt", name):
        return True
    if re.search(r"cpu|neon|avx|\d\s*t\b|threads?", name):
        return False
    return next((side for piece, _, side in _FAMILIES if piece in name), None)


def device_of(name: str, runtime: str) -> Device:
    """The part of the device that the runtime runs on."""
    device = find_device(name)
    if device is None:
        raise UnreadableRowError(f"device {name!r} is not in data/devices.toml")
    on_gpu = _side(runtime.lower())
    if on_gpu is False and not device.is_cpu:
        if device.host is None:
            raise UnreadableRowError(f"the processor beside {name!r} is not stated")
        return devices()[squeeze(device.host)]
    if on_gpu and device.is_cpu:
        if device.gpu is None:
            raise UnreadableRowError(f"the GPU of {name!r} is not in data/devices.toml")
        return devices()[squeeze(device.gpu)]
    return device


# Bits a weight of quantized formats, with their scales.
_BITS: Final = (
    (r"^(iq1|q1)", 1.8), (r"^(iq2|q2)", 2.8), (r"^(iq3|q3)", 3.6), (r"^q4_?k", 4.85),
    (r"^q4_1", 5.0), (r"^iq4", 4.4), (r"^q5", 5.6), (r"^q6", 6.6), (r"^q8", 8.5),
    (r"^(q4|int4|w4|awq|gptq-?int4|gptq-?4|gptq$|4bit|4-bit|nf4|fp4|mxfp4)", 4.5),
    (r"^(gptq-?int8|gptq-?8|8bit|8-bit|w8a16|bnb-?int8|llm.int8)", 8.25),
)  # fmt: skip
_FLOAT: Final = {
    "fp32": "fp32", "float32": "fp32", "f32": "fp32", "tf32": "fp32", "float": "fp32",
    "fp16": "fp16", "float16": "fp16", "f16": "fp16", "half": "fp16", "bf16": "fp16",
    "bfloat16": "fp16", "fp8": "fp8", "int8": "int8", "w8a8": "int8", "uint8": "int8",
    "mixed": "fp16", "amp": "fp16",
}  # fmt: skip


def read_precision(text: str) -> tuple[str, float]:
    """Arithmetic (`quantized`: weights only) and bytes a weight."""
    name = text.lower().strip(" ?").replace(" ", "")
    for pattern, bits in _BITS:
        if re.search(pattern, name):
            return "quantized", bits / 8
    found = next((a for start, a in _FLOAT.items() if name.startswith(start)), None)
    if found is None:
        raise UnreadableRowError(f"precision {text!r} is not known")
    return found, {"fp32": 4.0, "fp16": 2.0}.get(found, 1.0)


def setting_of(device: Device, on: Runtime, precision: str, domain: Domain) -> Setting:
    """What a request of this row can use."""
    arithmetic, weight_bytes = read_precision(precision)
    if arithmetic == "int8" and domain in {"decode", "prefill"}:
        arithmetic = "quantized"
    cores = sum(count for count, _, _ in device.cores)
    if device.is_cpu:
        if on.threads is None and on.share < 1:
            on = on._replace(threads=math.ceil(on.share * cores))
        arithmetic, operations, value_bytes = _on_cpu(device, arithmetic, on, domain)
    else:
        on = on._replace(family=_ON_GPU.get(on.family, on.family))
        arithmetic, operations, value_bytes = _on_gpu(device, arithmetic, on.family, domain)
    return Setting(
        device=re.sub(r"_\d+mhz$", "", device.name),
        kind=device.kind,
        runtime=on.family,
        variant=on.variant,
        arithmetic=arithmetic,
        operations=operations,
        bandwidth=device.bandwidth * 1e9,
        weight_bytes=weight_bytes,
        activation_bytes=value_bytes,
        plain=_is_plain(device, operations),
        single=device.is_cpu and on.threads == 1 and cores > 1,
        overlaps=on.family in _OVERLAPPING and not device.is_cpu,
    )


def _on_cpu(
    device: Device, arithmetic: str, on: Runtime, domain: Domain
) -> tuple[str, float, float]:
    rate = device.operations(on.threads)
    if arithmetic == "fp32" and on.family in _HALF_BY_DEFAULT and "half" in device.features:
        arithmetic = "fp16"
    if arithmetic == "fp16":
        half = "half" in device.features
        return ("fp16", 2 * rate, 2.0) if half else ("fp16 stored", rate, 4.0)
    if arithmetic == "int8":
        # Convolution nets are quantized statically, so that bytes are moved.
        return "int8", device.int8_gain() * rate, 1.0 if domain == "convolution" else 4.0
    if arithmetic == "fp8":
        raise UnreadableRowError("no fp8 arithmetic on a CPU")
    return arithmetic, rate, 4.0


def _is_plain(device: Device, operations: float) -> bool:
    """Whether products run on a GPU's ordinary cores."""
    if device.kind not in {"nvidia-gpu", "jetson-gpu", "apple-gpu"} or device.tf32:
        return False
    return operations <= PLAIN * 1e12 * device.fp32


def _on_gpu(
    device: Device, arithmetic: str, runtime: str, domain: Domain
) -> tuple[str, float, float]:
    """Cards without an arithmetic compute in the next that they have; fp32 is tf32 by default.

    Of PyTorch's that is so for convolutions alone.
    """
    if arithmetic == "fp32" and runtime in _HALF_BY_DEFAULT and device.fp16:
        arithmetic = "fp16"
    fp32, fp16 = device.fp32, max(device.fp16 or 0.0, device.fp32)
    if arithmetic == "fp32":
        shortened = runtime in {"tensorrt", "onnxruntime-cuda"} or (
            runtime in _OVERLAPPING and domain == "convolution"
        )
        short = device.tf32 if shortened else None
        return ("tf32", 1e12 * max(short, fp32), 4.0) if short else ("fp32", 1e12 * fp32, 4.0)
    if arithmetic == "int8" and device.int8 and device.int8 > fp16:
        return "int8", 1e12 * device.int8, 1.0
    if arithmetic == "fp8" and device.fp8:
        return "fp8", 1e12 * device.fp8, 2.0
    if runtime == "ggml" and device.name.startswith(("rtx3", "rtx4", "rtx5", "rtx2")):
        fp16 *= 2  # llama.cpp adds up in fp16, which GeForce cards do twice as fast
    if arithmetic == "quantized":
        return "quantized", 1e12 * fp16, 2.0
    return "fp16", 1e12 * fp16, 2.0
