"""A model as files: what a step takes and what it gives back."""

from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

import msgspec

from deployopt.core.card import PLAN
from deployopt.core.engine import InputRange

RuntimeName = Literal["onnxruntime", "openvino", "onnxruntime-genai", "tensorrt-rtx", "tensorrt"]
"""What opens a model on the device."""


class Format(StrEnum):
    """What kind of files an artifact holds."""

    TRANSFORMERS = "transformers"  # config.json, safetensors, tokenizer
    ONNX = "onnx"  # model.onnx, and model.onnx.data when over 2 GB
    OPENVINO = "openvino"  # model.xml and model.bin
    GENAI = "genai"  # genai_config.json, a decoder's model.onnx and its data, tokenizer files
    DIFFUSERS = "diffusers"  # model_index.json, and a folder for each part of the pipeline
    DRAWING = "drawing"  # drawing.json, and a graph for each part: text encoder, UNet, decoder
    ENGINE = "tensorrt-rtx"  # model.engine, what is in it, and the model.onnx that it was built of


class Precision(StrEnum):
    """The precision found in the weights that do the work, not the one that was asked for.

    tf32 is fp32 weights of which a card multiplies shorter ones.
    """

    FP32 = "fp32"
    TF32 = "tf32"
    BF16 = "bf16"
    FP16 = "fp16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"
    NF4 = "nf4"
    MIXED = "mixed"


class SessionOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the runtime opens the model; part of what is measured and shipped.

    The names are those of the runtime: graph optimizers to leave out (ONNX Runtime's only), and
    config entries.
    """

    disabled_optimizers: tuple[str, ...] = ()
    config_entries: dict[str, str] = {}
    profile: tuple[InputRange, ...] | msgspec.UnsetType = msgspec.UNSET
    """Of a graph that TensorRT opens: the requests that it builds for."""
    tf32: bool | msgspec.UnsetType = msgspec.UNSET
    """On a card: whether products of float32 may be worked out in TF32."""
    capture: bool | msgspec.UnsetType = msgspec.UNSET
    """Of a graph that ONNX Runtime opens on a card: whether requests of one shape are launched as
    one CUDA graph, where that can be done."""


class Artifact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files in `folder`, `entry` the one that is opened; `digest` is of the whole folder."""

    format: Format
    folder: Path
    entry: str
    digest: str
    precision: Precision = Precision.FP32
    session: SessionOptions = SessionOptions()
    notes: tuple[str, ...] = ()
    """What a step found worth telling a person, one sentence each."""

    @property
    def path(self) -> Path:
        """The file that is opened."""
        return self.folder / self.entry

    @property
    def runtime(self) -> RuntimeName:
        """What opens it."""
        return _RUNTIMES.get(self.format, "onnxruntime")


def runtime_on(provider: str, artifact: Artifact) -> RuntimeName:
    """What opens it on a target with this provider."""
    graph = artifact.format is Format.ONNX
    return "tensorrt" if graph and provider == PLAN else artifact.runtime


_RUNTIMES: Final[dict[Format, RuntimeName]] = {
    Format.OPENVINO: "openvino",
    Format.GENAI: "onnxruntime-genai",
    Format.ENGINE: "tensorrt-rtx",
}
