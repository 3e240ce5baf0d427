"""Bundles that a server can answer with, judged on paper; Triton's own messages and module."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec
import numpy as np
from msgspec.structs import replace

from deployopt.core.artifact import Precision, RuntimeName, SessionOptions
from deployopt.core.bundle import Lineage, Manifest, Origin
from deployopt.core.codec import decode_toml, encode_json, encode_pretty
from deployopt.core.evidence import Evidence
from deployopt.core.examples import Examples, encode_examples
from deployopt.core.interface import (
    ArrayInput,
    ArrayInputs,
    ImageInputs,
    Interface,
    PromptInputs,
    Task,
    TextInputs,
)
from deployopt.core.measurement import Machine, Trial
from deployopt.core.target import Target
from deployopt.core.verdict import Check, Outcome, Verdict
from deployopt.core.workload import Workload
from deployopt.device.reference import Reference, encode_reference
from deployopt.store.digests import entries_digest, file_entry
from deployopt.store.publishing import publish_bundle
from tests.fakes.targets import target_toml

ASSETS: Final = Path(__file__).parents[1] / "assets"
TEXT: Final = Interface(
    task=Task.TEXT_CLASSIFICATION,
    inputs=TextInputs(max_length=32, pad_id=7),
    outputs=("logits",),
    labels=("bad", "good"),
)
IMAGE: Final = Interface(
    task=Task.IMAGE_CLASSIFICATION,
    inputs=ImageInputs(
        input_name="pixels", height=16, width=16, resize=20, mean=(0.5, 0.4, 0.3), std=(0.2,) * 3
    ),
    outputs=("logits",),
    labels=("red", "blue", "green", "none"),
)
PLAIN: Final = Interface(
    task=Task.ANY,
    inputs=ArrayInputs(inputs=(ArrayInput(name="x", dtype="float32", shape=("batch", 2)),)),
    outputs=("y",),
)
SPEAKS: Final = Interface(
    task=Task.TEXT_GENERATION, inputs=PromptInputs(context=64, chat=False), outputs=("logits",)
)
TEXTS: Final = ("a good film", "dull and sad and bad", "the movie of it is fun", "great")
_GRAPHS: Final = {TEXT: "text.onnx", IMAGE: "image.onnx", PLAIN: "log.onnx", SPEAKS: "text.onnx"}


def check(metric: str, limit: float, upper: float | None, **changed: Any) -> Check:
    """A budget that holds, unless `changed` says otherwise."""
    return replace(
        Check(
            metric=metric,
            limit=limit,
            outcome=Outcome.ACCEPTED,
            evidence=Evidence.TARGET,
            observed=upper,
            upper=upper,
            reason="on paper",
        ),
        **changed,
    )


CHECKS: Final = (check("latency_p95", 0.060, 0.010), check("memory_peak", 2**31, 2**28))


def target_of(workload: Workload = Workload(), **hardware: Any) -> Target:  # noqa: B008
    """A machine of x86 with these facts."""
    made = decode_toml(target_toml("here").encode(), Target, where="test")
    runtime = {
        name: hardware.pop(name) for name in ("provider", "runtimes", "threads") if name in hardware
    }
    return replace(
        made,
        workload=workload,
        hardware=replace(made.hardware, **hardware),
        runtime=replace(made.runtime, **runtime),
    )


def machine() -> Machine:
    """What measured, on paper."""
    return Machine(
        arch="x86_64",
        cpu="a test's CPU",
        cores=2,
        memory_bytes=2**32,
        kernel="6",
        python="3.11",
        packages={"onnxruntime": "1.31.1", "tokenizers": "0.23.3", "numpy": "2.4.6"},
    )


def served_bundle(
    folder: Path,
    interface: Interface = TEXT,
    *,
    target: Target | None = None,
    verdict: Verdict | None = None,
    session: SessionOptions | None = None,
    runtime: RuntimeName = "onnxruntime",
    model: Mapping[str, bytes] | None = None,
    name: str = "sample",
    precision: Precision = Precision.FP32,
) -> Path:
    """A published bundle at `folder/NAME`; `model` is its files when it is none of the assets."""
    target = target or target_of()
    own = model or {"model/model.onnx": (ASSETS / _GRAPHS[interface]).read_bytes()}
    tokenizer = {"tokenizer.json": (ASSETS / "tokenizer.json").read_bytes()}
    deployed = {**own, **(tokenizer if isinstance(interface.inputs, TextInputs) else {})}
    judged = verdict or verdict_of(*CHECKS)
    trial = Trial(
        artifact="a" * 64,
        machine=machine(),
        evidence=Evidence.TARGET,
        threads=1,
        batch=target.workload.batch,
        rounds=(),
    )
    contents = {
        **deployed,
        **_gate(interface),
        "target.json": encode_pretty(target),
        "budgets.json": b"[]\n",
        "verdict.json": encode_pretty(judged),
        "lineage.json": encode_pretty(
            Lineage(model=Origin(asked="m", resolved="m"), data=None, recipe="float")
        ),
        "measurements/latency.json": encode_json((trial,)),
    }
    sources = folder / f"{name}.sources"
    sources.mkdir(parents=True)
    files = {path: sources / path.replace("/", "+") for path in contents}
    for path, data in contents.items():
        files[path].write_bytes(data)
    entries = tuple(file_entry(path, at) for at, path in sorted(files.items()))
    manifest = Manifest(
        name=name,
        made_with="deployopt 0",
        target=target.name,
        outcome=judged.word,
        artifact="a" * 64,
        model=next(path for path in own if path.endswith((".onnx", ".xml"))),
        runtime=runtime,
        opset=17,
        precision=precision,
        session=session or SessionOptions(),
        threads=target.runtime.threads,
        interface=interface,
        labels_sha256="0" * 64,
        bundle_digest=entries_digest(entries),
        deployed=tuple(sorted(deployed)),
        files=entries,
    )
    publish_bundle(files, manifest, folder / name)
    return folder / name


def verdict_of(*checks: Check, provisional: bool = False) -> Verdict:
    """As bad as the worst of these."""
    outcomes = {one.outcome for one in checks}
    worst = next(
        (one for one in (Outcome.REJECTED, Outcome.UNDECIDED) if one in outcomes), Outcome.ACCEPTED
    )
    return Verdict(
        target="here",
        artifact="a" * 64,
        outcome=worst,
        provisional=provisional,
        checks=checks,
    )


def _gate(interface: Interface) -> dict[str, bytes]:
    if not isinstance(interface.inputs, TextInputs):
        return {}
    suffix, data = encode_examples(Examples(inputs=TEXTS, labels=(1, 0, 1, 1)))
    answers = Reference(classes=np.zeros(len(TEXTS), dtype=np.int64))
    return {f"gate/examples{suffix}": data, "gate/reference.npz": encode_reference(answers)}


def read_config(text: str) -> Any:
    """A config.pbtxt by Triton's own descriptor; raises where it is none."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

    file = descriptor_pb2.FileDescriptorProto()
    file.ParseFromString((ASSETS / "triton/model_config.binpb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName("inference.ModelConfig")
    return text_format.Parse(text, message_factory.GetMessageClass(found)())


class Tensor(msgspec.Struct):
    """Triton's, of numpy's arrays."""

    held: str
    array: Any

    def name(self) -> str:
        return self.held

    def as_numpy(self) -> Any:
        return self.array


class Response:
    """Triton's answer."""

    def __init__(self, output_tensors: Sequence[Tensor], error: Exception | None = None) -> None:
        self.error = error
        self.arrays = {tensor.name(): tensor.as_numpy() for tensor in output_tensors}


def python_backend() -> ModuleType:
    """`triton_python_backend_utils`, as far as it is used: a request is a mapping of arrays."""
    module: Any = ModuleType("triton_python_backend_utils")
    module.Tensor = Tensor
    module.InferenceResponse = Response
    module.TritonError = RuntimeError
    module.get_input_tensor_by_name = lambda request, name: Tensor(name, request[name])
    return module  # type: ignore[no-any-return]


def load_model(folder: Path) -> Any:
    """The model of a folder `NAME/1`, as Triton's Python backend makes it."""
    import importlib.util
    import sys

    sys.modules["triton_python_backend_utils"] = python_backend()
    try:
        spec = importlib.util.spec_from_file_location("model", folder / "model.py")
        assert spec is not None and spec.loader is not None  # noqa: PT018
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        del sys.modules["triton_python_backend_utils"]
    model = module.TritonPythonModel()
    model.initialize({"model_config": "{}", "model_repository": str(folder.parent)})
    return model
