"""A published latency table, row by row, as questions to the predictor.

In: a CSV with the columns of data/latency_calibration.csv. Out: for each row the operators, the
setting and the time that was measured, or why it cannot be predicted; nothing is dropped silently.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.devices import Device, devices, find_device, squeeze
from benchmarks.latency_models import (
    Convolutional,
    Relative,
    Transformer,
    architecture_of,
    convolutional_operations,
    find_model,
    plain,
    typical_model,
)
from deployopt.core.plan import Operation
from deployopt.core.workload import Workload
from deployopt.planning.operations import decode_facts, facts_of, prefill_facts
from deployopt.planning.terms import Domain, Setting

COLUMNS: Final = (
    "device", "model", "task", "params_m", "gflops", "precision", "batch", "input", "runtime",
    "latency_ms_or_tok_s", "unit",
)  # fmt: skip
GROUPS: Final = (
    "CPU conv nets", "GPU conv nets", "transformers on GPUs", "transformers on CPUs", "LLM decode",
    "LLM prefill",
)  # fmt: skip
_DECODE_CONTEXT: Final = 256
_PROMPT: Final = 512
_TEXT_LENGTH: Final = 128


class Row(NamedTuple):
    """`seconds` of one request (a token in decode); `gflops` and `params_m` as the table has."""

    line: int
    device: str
    model: str
    group: str
    domain: Domain
    setting: Setting
    operations: tuple[Operation, ...]
    seconds: float
    gflops: float
    params_m: float
    fields: dict[str, str]


class Left(NamedTuple):
    """A row that is not predicted, and why."""

    line: int
    device: str
    model: str
    reason: str


class Unreadable(ValueError):
    """A row that cannot be predicted; the message says why."""


def read_rows(path: Path) -> tuple[list[Row], list[Left]]:
    """Every row of the table, as a question or with the reason why not."""
    rows: list[Row] = []
    left: list[Left] = []
    for line, fields in _lines(path):
        try:
            rows.append(_row(line, fields))
        except Unreadable as error:
            left.append(Left(line, fields["device"], fields["model"], str(error)))
    return rows, left


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise SystemExit(f"{path}: no column {', '.join(missing)}")
        for fields in reader:
            cells = {k: (v or "").strip() for k, v in fields.items() if k}
            yield reader.line_num, cells


def _row(line: int, fields: dict[str, str]) -> Row:
    _require_trusted(fields)
    runtime, variant, threads = read_runtime(fields["runtime"])
    device = _device(fields["device"], fields["runtime"])
    domain, operations, items = _work(fields)
    setting = _setting(device, runtime, variant, threads, fields["precision"], domain)
    value = _number(fields["latency_ms_or_tok_s"])
    if value is None or value <= 0:
        raise Unreadable("no measured value")
    seconds = _seconds(value, fields["unit"], domain, items)
    return Row(
        line=line,
        device=board(fields["device"]),
        model=fields["model"],
        group=_group(domain, setting),
        domain=domain,
        setting=setting,
        operations=operations,
        seconds=seconds,
        gflops=sum(2 * o.macs * o.count for o in operations) / 1e9,
        params_m=_number(fields["params_m"]) or sum(o.weights * o.count for o in operations) / 1e6,
        fields=fields,
    )


def board(name: str) -> str:
    """The device as it is held out: by its own name, whatever its clock and the part that works."""
    device = find_device(name)
    return re.sub(r"_\d+mhz$", "", device.name if device else name)


def _require_trusted(fields: dict[str, str]) -> None:
    runtime, precision = fields["runtime"].lower(), fields["precision"].lower()
    if "low trust" in fields.get("note", "").lower():
        raise Unreadable("low trust, as the table's note says")
    if "vulkan" in runtime and "ncnn" in runtime and "int8" in precision:
        raise Unreadable("ncnn-Vulkan int8 ran largely off the GPU")


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
    ("paddle", "ncnn", False),
    ("tnn", "ncnn", False),
    ("mace", "ncnn", False),
)
_OVERLAPPING: Final = frozenset({"eager", "pytorch"})


def read_runtime(text: str) -> tuple[str, str, int | None]:
    """Family, variant and threads of `ncnn-cpu-4t`, `llama.cpp-cuda`, `tensorrt 10`, …"""
    name = text.lower()
    threads = re.search(r"(?<![a-z0-9])(\d{1,3})\s*(t|threads?)(?![a-z])", name)
    count = int(threads[1]) if threads else None
    found = next((family for piece, family, _ in _FAMILIES if piece in name), "")
    if not found:
        raise Unreadable(f"runtime {text!r} is not known")
    side = _side(name)
    if found == "onnxruntime" and side:
        found = "onnxruntime-cuda"
    variant = re.sub(r"[-_ ]*\d{1,3}\s*(t|threads?)\b|[-_ ]cpu\b|[-_ ]v?\d+(\.\d+)*$", "", name)
    return found, variant, count


def _side(name: str) -> bool | None:
    """Whether a runtime's name says that it runs on a GPU; None where it does not."""
    if re.search(r"cuda|gpu|vulkan|metal|rocm|opencl|hip\b|sycl|directml|mps|-trt", name):
        return True
    if re.search(r"cpu|neon|avx|\d\s*t\b|threads?", name):
        return False
    return next((side for piece, _, side in _FAMILIES if piece in name), None)


def _device(name: str, runtime: str) -> Device:
    """The part of the device that the runtime runs on."""
    device = find_device(name)
    if device is None:
        raise Unreadable(f"device {name!r} is not in data/devices.toml")
    on_gpu = _side(runtime.lower())
    if on_gpu is False and not device.is_cpu:
        if device.host is None:
            raise Unreadable(f"the processor beside {name!r} is not stated")
        return devices()[squeeze(device.host)]
    if on_gpu and device.is_cpu:
        if device.gpu is None:
            raise Unreadable(f"the GPU of {name!r} is not in data/devices.toml")
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
        raise Unreadable(f"precision {text!r} is not known")
    return found, {"fp32": 4.0, "fp16": 2.0}.get(found, 1.0)


def _setting(
    device: Device,
    runtime: str,
    variant: str,
    threads: int | None,
    precision: str,
    domain: Domain,
) -> Setting:
    arithmetic, weight_bytes = read_precision(precision)
    if arithmetic == "int8" and domain in {"decode", "prefill"}:
        arithmetic = "quantized"
    cores = sum(count for count, _, _ in device.cores)
    if device.is_cpu:
        arithmetic, operations, value_bytes = _on_cpu(device, arithmetic, runtime, threads, domain)
        bandwidth = device.bandwidth * 1e9
    else:
        arithmetic, operations, value_bytes = _on_gpu(device, arithmetic, runtime)
        bandwidth = device.bandwidth * 1e9
    return Setting(
        device=re.sub(r"_\d+mhz$", "", device.name),
        kind=device.kind,
        runtime=runtime,
        variant=variant,
        arithmetic=arithmetic,
        operations=operations,
        bandwidth=bandwidth,
        weight_bytes=weight_bytes,
        activation_bytes=value_bytes,
        single=device.is_cpu and threads == 1 and cores > 1,
        overlaps=runtime in _OVERLAPPING and not device.is_cpu,
    )


def _on_cpu(
    device: Device, arithmetic: str, runtime: str, threads: int | None, domain: Domain
) -> tuple[str, float, float]:
    rate = device.operations(threads)
    if arithmetic == "fp32" and runtime == "openvino" and "half" in device.features:
        arithmetic = "fp16"  # OpenVINO's default on ARM that can
    if arithmetic == "fp16":
        half = "half" in device.features
        return ("fp16", 2 * rate, 2.0) if half else ("fp16 stored", rate, 4.0)
    if arithmetic == "int8":
        # Convolution nets are quantized statically, so that bytes are moved.
        return "int8", device.int8_gain() * rate, 1.0 if domain == "convolution" else 4.0
    if arithmetic == "fp8":
        raise Unreadable("no fp8 arithmetic on a CPU")
    return arithmetic, rate, 4.0


def _on_gpu(device: Device, arithmetic: str, runtime: str) -> tuple[str, float, float]:
    """Cards without an arithmetic compute in the next that they have; fp32 is tf32 by default."""
    fp32, fp16 = device.fp32, max(device.fp16 or 0.0, device.fp32)
    if arithmetic == "fp32":
        short = device.tf32 if runtime in {"tensorrt", "onnxruntime-cuda"} else None
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


def _work(fields: dict[str, str]) -> tuple[Domain, tuple[Operation, ...], int]:
    """What is run: the kind of work, its operators, and the items that the value stands for."""
    task, name = fields["task"].lower(), fields["model"]
    unit = fields["unit"].lower()
    gflops, params = _number(fields["gflops"]), _number(fields["params_m"])
    model = find_model(name) or (None if "llm" in task or "tok" in unit else typical_model(name, task))
    if "llm" in task or "tok" in unit:
        return _generating(fields, model, params)
    if isinstance(model, Transformer):
        return _encoding(fields, model, gflops, params)
    if model is None:
        raise Unreadable(f"model {name!r} of task {task!r} is not known")
    if find_model(name) is None and gflops is None:
        raise Unreadable(f"model {name!r} is not known, and the row has no gflops")
    return _convolving(fields, model, gflops, params)


def _convolving(
    fields: dict[str, str], model: Convolutional | Relative, gflops: float | None, params: float | None
) -> tuple[Domain, tuple[Operation, ...], int]:
    batch = int(_number(fields["batch"]) or 1)
    per_item = "per image" in fields.get("note", "").lower()
    one = convolutional_operations(model, None, None)
    usual = sum(2 * o.macs * o.count for o in one) / 1e9
    known = find_model(fields["model"]) is model
    if gflops and known:
        gflops *= _convention(gflops, usual, batch, params, model)
    operations = convolutional_operations(model, gflops, params)
    return "convolution", _times(operations, batch), batch if per_item else 1


def _convention(
    gflops: float, usual: float, batch: int, params: float | None, model: Convolutional | Relative
) -> float:
    """What brings a row's GFLOPs to 2 a multiply-add of one item."""
    own = model.params_m if isinstance(model, Relative) else model.parameters / 1e6
    if params is not None and not 0.9 < params / own < 1.1:
        return 1.0
    ratio = gflops / usual
    if batch > 1 and abs(ratio / batch - 1) < 0.2:
        return 1 / batch
    return 2.0 if 0.44 < ratio < 0.56 else 1.0


def _encoding(
    fields: dict[str, str], model: Transformer, gflops: float | None, params: float | None
) -> tuple[Domain, tuple[Operation, ...], int]:
    batch = int(_number(fields["batch"]) or 1)
    size = _size(fields["input"])
    architecture = architecture_of(model, params)
    workload = Workload(
        batch=batch,
        length=size or _TEXT_LENGTH if model.image is None else "real",
        image_size=size if model.image is not None and size and size >= 32 else None,
    )
    operations = facts_of(architecture, workload).operations
    if gflops:
        usual = sum(2 * o.macs * o.count for o in operations) / 1e9
        ratio = gflops / usual
        if abs(ratio * batch - 1) < 0.3:
            ratio *= batch
        if 0.44 < ratio < 0.56:
            ratio *= 2
        operations = tuple(_scaled(o, ratio) for o in operations)
    per_item = "per image" in fields.get("note", "").lower()
    return "encoder", operations, batch if per_item else 1


def _generating(
    fields: dict[str, str], model: Convolutional | Relative | Transformer | None, params: float | None
) -> tuple[Domain, tuple[Operation, ...], int]:
    batch = int(_number(fields["batch"]) or 1)
    if not isinstance(model, Transformer) or not model.causal:
        model = _usual_decoder(fields["model"], params)
    architecture = architecture_of(model, params)
    if "prefill" in fields["task"].lower() or "prompt" in fields["task"].lower():
        prompt = _size(fields["input"]) or _PROMPT
        facts = prefill_facts(architecture, batch=batch, prompt=prompt)
        return "prefill", facts.operations, batch * prompt
    context = _DECODE_CONTEXT
    generated = re.search(r"(?:gen|tg|out)\w*?[-+ ]?(\d+)", fields["input"].lower())
    if generated:
        context = max(1, int(generated[1]) // 2)
    facts = decode_facts(architecture, batch=batch, context=context)
    return "decode", facts.operations, batch


def _usual_decoder(name: str, params: float | None) -> Transformer:
    """The usual shape at that many parameters, from the row or the name."""
    if params is None:
        written = re.search(r"(\d+(?:\.\d+)?)\s*(b|m)(?![a-z])", name.lower())
        if written is None:
            raise Unreadable(f"model {name!r} is not known, and the row has no params_m")
        params = float(written[1]) * (1000 if written[2] == "b" else 1)
    hidden = max(256, round((params * 1e6 / 12 / 96) ** (1 / 3)) * 64)
    layers = max(2, round(params * 1e6 / (12.2 * hidden * hidden)))
    return Transformer(
        name=plain(name), layers=layers, hidden=hidden, heads=hidden // 64,
        ffn=round(2.7 * hidden), vocabulary=32000, gated=True, causal=True, tied=params < 2000,
    )  # fmt: skip


def _scaled(operation: Operation, ratio: float) -> Operation:
    return Operation(
        kind=operation.kind,
        macs=operation.macs * ratio,
        weights=operation.weights,
        activations=operation.activations * ratio,
        count=operation.count,
    )


def _times(operations: tuple[Operation, ...], batch: int) -> tuple[Operation, ...]:
    return tuple(_scaled(o, batch) for o in operations) if batch > 1 else operations


def _seconds(value: float, unit: str, domain: Domain, items: int) -> float:
    """Of the whole request: a batch, a prompt, or one token of each sequence."""
    unit = unit.lower().replace(" ", "")
    if unit in {"tok/s", "tokens/s", "t/s", "token/s"}:
        return items / value
    if unit in {"ms/tok", "ms/token"}:
        return value / 1e3 * (items if domain == "prefill" else 1)
    if unit in {"fps", "img/s", "images/s", "it/s", "qps", "inf/s"}:
        return items / value
    factor = {"ms": 1e-3, "ms/it": 1e-3, "s": 1.0, "s/it": 1.0, "us": 1e-6}.get(unit)
    if factor is None:
        raise Unreadable(f"unit {unit!r} is not a time or a rate of one request")
    return value * factor * items


def _group(domain: Domain, setting: Setting) -> str:
    gpu = setting.platform == "gpu"
    if domain == "convolution":
        return "GPU conv nets" if gpu else "CPU conv nets"
    if domain == "encoder":
        return "transformers on GPUs" if gpu else "transformers on CPUs"
    return "LLM decode" if domain == "decode" else "LLM prefill"


def _size(text: str) -> int | None:
    """The one size of `384`, `pp512`, `640x640`; None of `short` and the like."""
    found = re.search(r"\d+", text)
    return int(found[0]) if found and int(found[0]) > 1 else None


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None
