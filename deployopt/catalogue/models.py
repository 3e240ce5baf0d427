"""Models and data known by a short name: what they are and where the hub keeps them.

A literal table, no file and no network. Sizes are the fp32 weights' as the hub lists them. An
entry whose main branch holds only pickles names the revision where the hub's own converter put the
same weights as safetensors.
"""

import difflib
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.interface import Task

DEMO: Final = "demo-sentiment"
# Seeded inputs of the declared shapes, for a graph that comes without data.
SYNTHETIC: Final = "synthetic"


class HubData(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Labelled data on the hub: which files judge (`gate`), and which calibrate and search."""

    name: str
    repository: str
    gate: str
    """A path in the repository; `*` stands for anything but `/`."""
    work: str | None = None
    """None: all three splits come from `gate`."""
    text: str
    label: str
    examples: int
    """Rows in the gate's files."""
    licence: str


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model: `smaller` are aliases with the same labels that cost less."""

    alias: str
    title: str
    task: Task
    repository: str | None
    """None: needs no hub."""
    revision: str | None = None
    parameters: int
    size_bytes: int
    licence: str
    data: str | None = None
    smaller: tuple[str, ...] = ()
    accuracy: float | None = None
    """Share right that the model's page states for the gate's files."""
    accuracy_examples: int = 0


SST2: Final = HubData(
    name="sst2",
    repository="stanfordnlp/sst2",
    gate="data/validation-*.parquet",
    work="data/train-*.parquet",
    text="sentence",
    label="label",
    examples=872,
    licence="unknown",
)
DATA: Final[tuple[HubData, ...]] = (SST2,)

_TEXT: Final = Task.TEXT_CLASSIFICATION
_IMAGE: Final = Task.IMAGE_CLASSIFICATION
CATALOGUE: Final[tuple[Entry, ...]] = (
    Entry(
        alias=DEMO,
        title="MiniLM in DistilBERT's class, six layers, on rated movie snippets",
        task=_TEXT,
        repository=None,
        parameters=22_713_218,
        size_bytes=90_900_000,
        licence="Apache-2.0",
        data=DEMO,
    ),
    Entry(
        alias="distilbert",
        title="DistilBERT base, SST-2",
        task=_TEXT,
        repository="distilbert/distilbert-base-uncased-finetuned-sst-2-english",
        parameters=66_955_010,
        size_bytes=267_832_558,
        licence="apache-2.0",
        data="sst2",
        smaller=("mobilebert", "minilm"),
        accuracy=0.9105504587155964,
        accuracy_examples=872,
    ),
    Entry(
        alias="mobilebert",
        title="MobileBERT, SST-2",
        task=_TEXT,
        repository="Muhusjf/mobilebert-uncased-finetuned-sst2",
        parameters=24_582_914,
        size_bytes=98_500_000,
        licence="not stated",
        data="sst2",
        smaller=("minilm",),
    ),
    Entry(
        alias="minilm",
        title="MiniLM, six layers, SST-2",
        task=_TEXT,
        repository="philschmid/MiniLM-L6-H384-uncased-sst2",
        revision="refs/pr/1",
        parameters=22_713_986,
        size_bytes=90_900_000,
        licence="not stated",
        data="sst2",
    ),
    Entry(
        alias="bert-base",
        title="BERT base uncased, SST-2",
        task=_TEXT,
        repository="JeremiahZ/bert-base-uncased-sst2",
        parameters=109_483_778,
        size_bytes=438_000_000,
        licence="apache-2.0",
        data="sst2",
        smaller=("distilbert", "mobilebert", "minilm"),
    ),
    Entry(
        alias="roberta-base",
        title="RoBERTa base, SST-2",
        task=_TEXT,
        repository="textattack/roberta-base-SST-2",
        parameters=124_647_170,
        size_bytes=501_000_000,
        licence="not stated",
        data="sst2",
        smaller=("distilbert", "mobilebert", "minilm"),
    ),
    Entry(
        alias="mobilenet-v2",
        title="MobileNetV2 1.0, 224 pixels, ImageNet-1k with a background class",
        task=_IMAGE,
        repository="google/mobilenet_v2_1.0_224",
        parameters=3_538_984,
        size_bytes=14_200_000,
        licence="other",
    ),
    Entry(
        alias="efficientnet-b0",
        title="EfficientNet B0, 224 pixels, ImageNet-1k",
        task=_IMAGE,
        repository="google/efficientnet-b0",
        revision="refs/pr/3",
        parameters=5_288_548,
        size_bytes=21_400_000,
        licence="apache-2.0",
    ),
    Entry(
        alias="resnet-50",
        title="ResNet-50, 224 pixels, ImageNet-1k",
        task=_IMAGE,
        repository="microsoft/resnet-50",
        parameters=25_557_032,
        size_bytes=102_000_000,
        licence="apache-2.0",
        smaller=("efficientnet-b0",),
    ),
    Entry(
        alias="vit-base",
        title="ViT base, patch 16, 224 pixels, ImageNet-1k",
        task=_IMAGE,
        repository="google/vit-base-patch16-224",
        parameters=86_567_656,
        size_bytes=346_000_000,
        licence="apache-2.0",
        smaller=("resnet-50", "efficientnet-b0"),
    ),
)


def find_entry(name: str) -> Entry:
    """The entry of an alias.

    Raises:
        UsageError: no such alias; names the nearest one and all of them.
    """
    by_alias = {entry.alias: entry for entry in CATALOGUE}
    entry = by_alias.get(name.casefold())
    if entry is not None:
        return entry
    close = difflib.get_close_matches(name.casefold(), sorted(by_alias), n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UsageError(
        f"There is no model {name!r}: it is no alias, no folder and no .onnx file.{hint} The "
        f"aliases are {', '.join(sorted(by_alias))}; a model of the hub is written hub:ORG/NAME or "
        "hub:ORG/NAME@REVISION."
    )


def find_data(name: str) -> HubData | None:
    """The hub data of a short name, or None."""
    return next((data for data in DATA if data.name == name), None)
