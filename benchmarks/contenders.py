"""What a compressed model is measured against: the same model in the forms that others ship it in.

In: a model with its data, as `deployopt build` reads them, and a folder for files. Out: what a
runner of benchmarks/racing.py opens, and the gate split as a file of requests with their labels.
The forms: torch eager; the plain export in ONNX Runtime; ONNX Runtime's own int8 of that export
(dynamic for text, static with default calibration for images); OpenVINO int8 by NNCF; our int8.
"""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.racing import Spec
from deployopt.core.artifact import Artifact
from deployopt.core.examples import decode_examples
from deployopt.core.interface import ImageInputs, TextInputs
from deployopt.core.measurement import Split
from deployopt.core.quiet import imported_quietly
from deployopt.core.recipe import Recipe, Step
from deployopt.core.samples import decode_samples, encode_samples
from deployopt.core.workload import Workload
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.inputs import feeds
from deployopt.modeling.pruning.families import whole_shape
from deployopt.modeling.pruning.shape import spread_layers
from deployopt.pipeline.making import make
from deployopt.pipeline.preparing import Prepared
from deployopt.steps.export import Export
from deployopt.steps.prune import Prune

TORCH: Final = "torch eager fp32"
ORT: Final = "ORT fp32, plain export"
ORT_INT8: Final = "ORT int8, its own quantizer"
OPENVINO_INT8: Final = "OpenVINO int8 (NNCF)"
OURS: Final = "ours int8, whole model"
SHAPED: Final = "untrained student"
_CLASSES: Final = {
    TextInputs: "AutoModelForSequenceClassification",
    ImageInputs: "AutoModelForImageClassification",
}


class Contenders(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that races, by name, and what it is asked."""

    specs: dict[str, Spec]
    sizes: dict[str, int]
    """Bytes of the model's files."""
    labels: tuple[int, ...]
    feeds: Path

    def joined(self, name: str, bundle: Path) -> "Contenders":
        """With a bundle's model beside."""
        spec, size = of_bundle(name, bundle, self.feeds)
        return msgspec.structs.replace(
            self, specs={**self.specs, name: spec}, sizes={**self.sizes, name: size}
        )

    def shaped(self, shape: str, prepared: Prepared) -> "Contenders":
        """With our int8 of a student that was cut and not taught: its times are a taught one's."""
        layers, _, ffn = shape.partition(":")
        kept = kept_layers(prepared, int(layers))
        name = f"{SHAPED} {shape}"
        ours = next(recipe for recipe in prepared.recipes if recipe.name == "int8")
        steps = (Prune(layers=kept, ffn=float(ffn or 1), importance="magnitude"), *ours.steps)
        artifact = made(prepared, name, steps)
        return msgspec.structs.replace(
            self,
            specs={**self.specs, name: spec_of(name, artifact, self.feeds)},
            sizes={**self.sizes, name: size(artifact.path)},
        )


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    """The gate split as the model takes it."""

    path: Path
    labels: tuple[int, ...]


def gate_requests(prepared: Prepared, folder: Path) -> Requests:
    """Every example at its real length, in a file."""
    source = prepared.source
    examples = decode_examples(prepared.dataset.splits[Split.GATE].path)
    path = folder / "gate.npz"
    asked = feeds(source.interface, source.artifact.folder, examples.inputs, Workload())
    path.write_bytes(encode_samples(list(asked)))
    return Requests(path=path, labels=examples.labels or ())


def kept_layers(prepared: Prepared, count: int) -> tuple[int, ...]:
    """So many of the model's layers, evenly spread."""
    config = json.loads((prepared.source.artifact.folder / "config.json").read_bytes())
    whole = whole_shape(config)
    if whole is None:
        raise SystemExit("The model's config does not say its shape.")
    return spread_layers(len(whole.layers), count)


def contenders(prepared: Prepared, folder: Path) -> Contenders:
    """Every form that this install can make."""
    source = prepared.source
    requests = gate_requests(prepared, folder)
    asked = requests.path
    specs = {
        TORCH: Spec(
            name=TORCH,
            engine="torch",
            model=str(source.artifact.folder),
            feeds=str(asked),
            torch_class=_CLASSES.get(type(source.interface.inputs), ""),
        )
    }
    plain = made(prepared, "plain", (Export(),))
    theirs = own_int8(plain.path, prepared, folder)
    specs[ORT] = spec_of(ORT, plain, asked)
    specs[ORT_INT8] = msgspec.structs.replace(specs[ORT], name=ORT_INT8, model=str(theirs))
    sizes = {
        TORCH: size(source.artifact.folder / "model.safetensors"),
        ORT: size(plain.path),
        ORT_INT8: size(theirs),
    }
    ours = next(recipe for recipe in prepared.recipes if recipe.name == "int8")
    if find_spec("openvino") and find_spec("nncf"):
        path = openvino_int8(plain.path, prepared, folder)
        specs[OPENVINO_INT8] = Spec(
            name=OPENVINO_INT8, engine="openvino", model=str(path), feeds=str(asked)
        )
        sizes[OPENVINO_INT8] = size(path)
    whole = made(prepared, OURS, ours.steps)
    specs[OURS], sizes[OURS] = spec_of(OURS, whole, asked), size(whole.path)
    return Contenders(specs=specs, sizes=sizes, labels=requests.labels, feeds=asked)


def made(
    prepared: Prepared, name: str, steps: Sequence[Step], start: Artifact | None = None
) -> Artifact:
    """Through the store, so that a second run of the benchmark makes nothing again."""
    recipe = Recipe(name=name, steps=tuple(steps))
    return make(recipe, start or prepared.source.artifact, prepared.bench, _silent).artifact


def own_int8(plain: Path, prepared: Prepared, folder: Path) -> Path:
    """ONNX Runtime's quantizer as its documentation calls it."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        quant_pre_process,
        quantize_dynamic,
        quantize_static,
    )

    path = folder / "own_int8.onnx"
    if isinstance(prepared.source.interface.inputs, TextInputs):
        quantize_dynamic(plain, path)
        return path

    class Reader(CalibrationDataReader):  # type: ignore[misc] # onnxruntime is not followed
        def __init__(self) -> None:
            samples = prepared.bench.samples
            self.rows = iter(decode_samples(samples) if samples is not None else [])

        def get_next(self) -> object:
            return next(self.rows, None)

    ready = folder / "ready.onnx"
    quant_pre_process(plain, ready, skip_symbolic_shape=True)
    quantize_static(ready, path, Reader())
    return path


def openvino_int8(plain: Path, prepared: Prepared, folder: Path) -> Path:
    """NNCF's static int8, calibrated on the samples that a build calibrates with."""
    with imported_quietly():
        import nncf
        import openvino
    samples = prepared.bench.samples
    texts = isinstance(prepared.source.interface.inputs, TextInputs)
    quantized = nncf.quantize(
        openvino.convert_model(plain),
        nncf.Dataset(decode_samples(samples) if samples is not None else []),
        model_type=nncf.ModelType.TRANSFORMER if texts else None,
        preset=nncf.QuantizationPreset.MIXED,
    )
    openvino.save_model(quantized, folder / "openvino.xml")
    return folder / "openvino.xml"


def of_bundle(name: str, bundle: Path, asked: Path) -> tuple[Spec, int]:
    """A bundle's model as it ships, and the bytes of its files."""
    found = open_bundle(bundle)
    setup = found.setup
    spec = Spec(
        name=name,
        engine=setup.runtime,
        model=str(setup.model),
        feeds=str(asked),
        disabled=setup.session.disabled_optimizers,
        entries=setup.session.config_entries,
        outputs=setup.outputs,
    )
    return spec, size(setup.model)


def size(model: Path) -> int:
    """With the weights that OpenVINO keeps beside."""
    beside = model.with_suffix(".bin")
    more = beside.stat().st_size if model.suffix == ".xml" else 0
    return model.stat().st_size + more


def spec_of(name: str, artifact: Artifact, asked: Path) -> Spec:
    """How an artifact is opened."""
    return Spec(
        name=name,
        engine=artifact.runtime,
        model=str(artifact.path),
        feeds=str(asked),
        disabled=artifact.session.disabled_optimizers,
        entries=artifact.session.config_entries,
    )


def _silent(_share: float, _words: str) -> None:
    """No one is watching."""
