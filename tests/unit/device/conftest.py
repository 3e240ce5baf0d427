"""Tiny models, texts and bundles for the device path."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.artifact import Precision, SessionOptions
from deployopt.core.budget import Budget
from deployopt.core.bundle import Lineage, Manifest, Origin
from deployopt.core.codec import decode_toml, encode_pretty
from deployopt.core.examples import Examples, encode_examples
from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.core.measurement import Machine
from deployopt.core.quiet import imported_quietly
from deployopt.core.target import Target
from deployopt.core.verdict import Outcome, Verdict
from deployopt.device.accuracy import evaluate
from deployopt.device.device import ThisMachine
from deployopt.device.reference import encode_reference, reference_of
from deployopt.device.setup import EvaluationSet, Setup
from deployopt.store.digests import entries_digest, file_entry
from deployopt.store.publishing import publish_bundle
from tests.fakes.targets import target_toml

ASSETS = Path(__file__).parents[2] / "assets"
WORDS = "a an and bad boring dull film fine fun good great it movie of sad the warm".split()  # noqa: SIM905
TARGET = target_toml("here")


@pytest.fixture
def assets() -> Path:
    return ASSETS


@pytest.fixture
def machine() -> Machine:
    return Machine(
        arch="x86_64",
        cpu="test",
        isa=("avx2", "avx512_vnni"),
        cores=2,
        affinity=(0, 1),
        memory_bytes=2**32,
        kernel="6",
        python="3.11",
        packages={"onnxruntime": "1.31.1"},
    )


@pytest.fixture
def target() -> Target:
    return decode_toml(TARGET.encode(), Target, where="test")


@pytest.fixture
def interface() -> Interface:
    return Interface(
        task=Task.TEXT_CLASSIFICATION,
        inputs=TextInputs(max_length=32),
        outputs=("logits",),
        labels=("bad", "good"),
    )


@pytest.fixture
def texts() -> Examples:
    lot = random.Random(1)  # noqa: S311 -- texts, not secrets
    inputs = [" ".join(lot.choices(WORDS, k=lot.randint(2, 40))) for _ in range(120)]
    return Examples(inputs=inputs, labels=tuple(lot.randint(0, 1) for _ in inputs))


@pytest.fixture
def text_setup() -> Setup:
    return Setup(artifact="a" * 64, model=ASSETS / "text.onnx", threads=1, outputs=("logits",))


@pytest.fixture
def text_data(tmp_path: Path, interface: Interface, texts: Examples) -> EvaluationSet:
    suffix, data = encode_examples(texts)
    path = tmp_path / f"examples{suffix}"
    path.write_bytes(data)
    return EvaluationSet(interface=interface, folder=ASSETS, examples=path)


@pytest.fixture(scope="session")
def text_openvino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The text model in OpenVINO's form, model.xml with model.bin beside it."""
    with imported_quietly():
        import openvino
    path = tmp_path_factory.mktemp("openvino") / "model.xml"
    model = openvino.Core().read_model(ASSETS / "text.onnx")
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


MakeBundle = Callable[..., Path]


@pytest.fixture
def make_bundle(
    tmp_path: Path, text_setup: Setup, text_data: EvaluationSet, target: Target
) -> MakeBundle:
    """A real bundle of the text model, whose reference is the model itself."""

    def make(model: str = "text.onnx", openvino: Path | None = None, **changes: str) -> Path:
        made = tmp_path / "made"
        (made / "gate").mkdir(parents=True)
        evaluation = evaluate(text_setup, text_data, tmp_path, ThisMachine())
        budgets = (
            Budget(metric="accuracy_drop", limit=0.05),
            Budget(metric="artifact_size", limit=2.0**20),
        )
        verdict = Verdict(
            target=target.name,
            artifact="a" * 64,
            outcome=Outcome.ACCEPTED,
            provisional=False,
            checks=(),
        )
        origin = Origin(asked="demo", resolved="demo")
        named = {"model/model.onnx": ASSETS / model}
        if openvino is not None:
            named = {f"model/{p.name}": p for p in (openvino, openvino.with_suffix(".bin"))}
        files = (
            {name: path.read_bytes() for name, path in named.items()}
            | {
                "tokenizer.json": (ASSETS / "tokenizer.json").read_bytes(),
                "target.json": encode_pretty(target),
                "budgets.json": encode_pretty(budgets),
                "verdict.json": encode_pretty(verdict),
                "lineage.json": encode_pretty(Lineage(model=origin, data=origin, recipe="float")),
                "gate/examples.jsonl": text_data.examples.read_bytes(),
                "gate/reference.npz": encode_reference(
                    reference_of(text_data.interface, evaluation.outputs)
                ),
            }
            | {name: text.encode() for name, text in changes.items()}
        )
        paths: dict[str, Path] = {}
        for number, (name, data) in enumerate(sorted(files.items())):
            paths[name] = made / str(number)
            paths[name].write_bytes(data)
        entries = tuple(file_entry(path, name) for name, path in sorted(paths.items()))
        manifest = Manifest(
            name="demo-here",
            made_with="test",
            target=target.name,
            outcome="accepted",
            artifact="a" * 64,
            model=next(iter(named)),
            runtime="onnxruntime" if openvino is None else "openvino",
            opset=17 if openvino is None else 0,
            precision=Precision.FP32,
            session=SessionOptions(),
            threads=1,
            interface=text_data.interface,
            labels_sha256="0" * 64,
            bundle_digest=entries_digest(entries),
            deployed=(*named, "tokenizer.json"),
            files=entries,
        )
        bundle = tmp_path / "bundle"
        publish_bundle(paths, manifest, bundle)
        return bundle

    return make
