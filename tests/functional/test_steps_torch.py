"""Real torch models through the real steps: small, random, at several shapes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import RefusedInputError, StepError
from deployopt.core.interface import ImageInputs, Interface, Task, TextInputs
from deployopt.core.recipe import StepContext
from deployopt.core.samples import Array, encode_samples
from deployopt.steps.export import Export
from deployopt.steps.optimize import Optimize
from deployopt.steps.quantize import QuantizeDynamic, QuantizeStatic

pytestmark = pytest.mark.torch

TEXT = Interface(
    task=Task.TEXT_CLASSIFICATION,
    inputs=TextInputs(max_length=64),
    outputs=("logits",),
    labels=("no", "yes", "both"),
)
IMAGE = Interface(
    task=Task.IMAGE_CLASSIFICATION,
    inputs=ImageInputs(input_name="pixel_values", height=64, width=64),
    outputs=("logits",),
    labels=tuple("abcde"),
)
BERT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
SMALL: dict[str, object] = {
    "num_hidden_layers": 2,
    "hidden_size": 128,
    "num_attention_heads": 4,
    "intermediate_size": 256,
}
RESNET: dict[str, object] = {
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
    "hidden_sizes": [16, 32, 32, 64],
    "embedding_size": 16,
}


def save(folder: Path, model_name: str, config_name: str, **options: object) -> Artifact:
    import torch
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, config_name)(**options)
    model = getattr(transformers, model_name)(config)
    if "pixel" in str(model.main_input_name):
        model.train()
        with torch.no_grad():  # real BatchNorm statistics
            for _ in range(20):
                model(pixel_values=torch.randn(4, 3, 64, 64))
    model.eval().save_pretrained(folder)
    return Artifact(format=Format.TRANSFORMERS, folder=folder, entry="config.json", digest="d")


def distilbert(folder: Path) -> Artifact:
    options = {"n_layers": 2, "dim": 128, "hidden_dim": 256, "n_heads": 4, "vocab_size": 300}
    return save(
        folder, "DistilBertForSequenceClassification", "DistilBertConfig", num_labels=3, **options
    )


def texts(names: tuple[str, ...], count: int = 12) -> list[dict[str, Array]]:
    random = np.random.default_rng(0)
    feeds = []
    for _ in range(count):
        length = int(random.integers(3, 60))
        feed = {
            "input_ids": random.integers(5, 300, (1, length)),
            "attention_mask": np.ones((1, length), np.int64),
            "token_type_ids": np.zeros((1, length), np.int64),
        }
        feeds.append({name: feed[name] for name in names})
    return feeds


def images(count: int) -> list[dict[str, Array]]:
    random = np.random.default_rng(0)
    return [
        {"pixel_values": random.standard_normal((1, 3, 64, 64)).astype(np.float32)}
        for _ in range(count)
    ]


@pytest.fixture
def context(tmp_path: Path) -> Callable[[Interface, list[dict[str, Array]]], StepContext]:
    count = 0

    def make(interface: Interface, feeds: list[dict[str, Array]]) -> StepContext:
        nonlocal count
        count += 1
        (tmp_path / f"work{count}").mkdir()
        (tmp_path / "samples.npz").write_bytes(encode_samples(feeds))
        samples = tmp_path / "samples.npz" if feeds else None
        return StepContext(workdir=tmp_path / f"work{count}", interface=interface, samples=samples)

    return make


Contexts = Callable[[Interface, list[dict[str, Array]]], StepContext]


def logits(path: Path, feeds: list[dict[str, Array]]) -> Array:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, feed)[0] for feed in feeds])


@pytest.mark.parametrize(
    "export", [Export(), Export(opset=14), Export(exporter="dynamo", opset=18)]
)
def test_distilbert_goes_the_whole_way(export: Export, tmp_path: Path, context: Contexts) -> None:
    from deployopt.modeling.reference import predict

    source = distilbert(tmp_path / "model")
    feeds = texts(("input_ids", "attention_mask"))
    expected = predict(source.folder, TEXT, feeds)
    artifact = source
    for step in (export, Optimize(), QuantizeDynamic(embeddings=False)):
        where = context(TEXT, feeds)
        step.requires(artifact, where)
        artifact = step.run(artifact, where)
        assert [path.name for path in where.workdir.iterdir()] == ["model.onnx"]
        bound = 0.1 if step.name == "quantize-dynamic" else 1e-4
        found = logits(artifact.path, feeds)
        assert np.abs(found - expected).max() < bound * np.abs(expected).max()
    assert artifact.precision is Precision.INT8
    assert any("2 groups of matrix products" in note for note in artifact.notes)


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("Bert", BERT_INPUTS),
        ("Roberta", BERT_INPUTS[:2]),
        ("Albert", BERT_INPUTS),
        ("Electra", BERT_INPUTS),
    ],
)
def test_other_text_classes_export_and_agree(
    family: str, names: tuple[str, ...], tmp_path: Path, context: Contexts
) -> None:
    interface = Interface(
        task=Task.TEXT_CLASSIFICATION,
        inputs=TextInputs(max_length=64, input_names=names, pad_id=int(family == "Roberta")),
        outputs=("logits",),
    )
    model, config = f"{family}ForSequenceClassification", f"{family}Config"
    source = save(tmp_path / "model", model, config, num_labels=3, vocab_size=300, **SMALL)
    made = Export().run(source, context(interface, texts(names)))
    assert "real samples" in made.notes[0]


@pytest.mark.parametrize(
    ("family", "options", "step", "precision"),
    [
        # 7 bits: with 8 the sums saturate on an x86 without VNNI.
        ("ResNet", RESNET, QuantizeStatic(reduce_range=True), Precision.INT8),
        (
            "MobileNetV2",
            {"depth_multiplier": 0.35},
            QuantizeStatic(reduce_range=True),
            Precision.INT8,
        ),
        # Its first convolution stays float, and is a fifth of a ViT this small.
        ("ViT", SMALL | {"image_size": 64}, QuantizeDynamic(), Precision.MIXED),
    ],
)
def test_image_classes_export_and_quantize(
    family: str,
    options: dict[str, object],
    step: QuantizeStatic | QuantizeDynamic,
    precision: Precision,
    tmp_path: Path,
    context: Contexts,
) -> None:
    feeds = images(12)
    model, config = f"{family}ForImageClassification", f"{family}Config"
    source = save(tmp_path / "model", model, config, num_labels=5, **options)
    exported = Export().run(source, context(IMAGE, feeds))
    optimized = Optimize().run(exported, context(IMAGE, feeds))
    made = step.run(optimized, context(IMAGE, feeds))
    assert made.precision is precision
    expected, found = logits(exported.path, feeds), logits(made.path, feeds)
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.95


def test_export_works_without_samples_and_says_so(tmp_path: Path, context: Contexts) -> None:
    made = Export().run(distilbert(tmp_path / "model"), context(TEXT, []))
    assert "made-up inputs" in made.notes[0]


def test_a_graph_that_differs_from_the_model_is_an_error(
    tmp_path: Path, context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployopt.graph import attaching

    def spoiled(traced: Path, weights: dict[str, Array], destination: Path) -> None:
        name = "model.pre_classifier.weight"
        attach(traced, {**weights, name: weights[name] * np.float32(1.01)}, destination)

    attach = attaching.attach_weights
    monkeypatch.setattr(attaching, "attach_weights", spoiled)
    with pytest.raises(StepError, match="differs from the model by"):
        Export().run(distilbert(tmp_path / "model"), context(TEXT, texts(BERT_INPUTS[:2])))


def test_the_reference_in_batches_equals_one_by_one(tmp_path: Path) -> None:
    from deployopt.modeling.reference import predict

    source = distilbert(tmp_path / "model")
    feeds = texts(("input_ids", "attention_mask"), 40)
    alone = predict(source.folder, TEXT, feeds, batch=1)
    together = predict(source.folder, TEXT, feeds, batch=16, threads=2)
    assert alone.shape == (40, 3)
    assert np.abs(alone - together).max() < 1e-5
    assert np.std(alone, axis=0).min() > 1e-3


def test_pickled_weights_and_configs_with_code_are_refused(tmp_path: Path) -> None:
    from deployopt.modeling.loading import load_model

    source = distilbert(tmp_path / "model")
    config = (source.folder / "config.json").read_text()
    for key in ('"auto_map": {"AutoModel": "x.Y"}', '"_attn_implementation": "evil/kernel"'):
        (source.folder / "config.json").write_text(config.replace("{", "{" + key + ",", 1))
        with pytest.raises(RefusedInputError, match="key"):
            load_model(source.folder, Task.TEXT_CLASSIFICATION)
    (source.folder / "config.json").write_text(config)
    (source.folder / "model.safetensors").rename(source.folder / "pytorch_model.bin")
    with pytest.raises(RefusedInputError, match="pickle"):
        load_model(source.folder, Task.TEXT_CLASSIFICATION)


def test_a_model_for_another_task_is_an_error(tmp_path: Path) -> None:
    from deployopt.modeling.loading import load_model

    source = distilbert(tmp_path / "model")
    with pytest.raises(StepError, match="ForImageClassification is needed"):
        load_model(source.folder, Task.IMAGE_CLASSIFICATION)


def test_a_config_without_a_class_is_resolved_by_its_task(tmp_path: Path) -> None:
    from deployopt.modeling.loading import load_model

    source = distilbert(tmp_path / "model")
    path = source.folder / "config.json"
    path.write_text(path.read_text().replace('"architectures"', '"nothing"'))
    model = load_model(source.folder, Task.TEXT_CLASSIFICATION)
    assert type(model).__name__ == "DistilBertForSequenceClassification"


def test_a_module_gets_a_free_batch_where_it_can(tmp_path: Path) -> None:
    import torch

    from deployopt.graph.attaching import attach_weights
    from deployopt.graph.describing import describe_onnx
    from deployopt.modeling.exporting import ExportOptions
    from deployopt.modeling.modules import export_module

    class Fixed(torch.nn.Linear):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.reshape(2, 6))

    free = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout())
    example = {"x": torch.randn(2, 6)}
    options = ExportOptions(attach=attach_weights)
    interface = export_module(free.train(), example, tmp_path / "free.onnx", options)
    assert free.training
    assert interface.inputs.inputs[0].shape == ("batch", 6)  # type: ignore[union-attr]
    assert describe_onnx(tmp_path / "free.onnx").inputs == interface.inputs.inputs  # type: ignore[union-attr]
    interface = export_module(Fixed(6, 4), example, tmp_path / "fixed.onnx", options)
    assert interface.inputs.inputs[0].shape == (2, 6)  # type: ignore[union-attr]
