"""The models that published latency tables name, as operators: what the rows of a table run.

In: a row's model, task, GFLOPs, parameters and input. Out: operators of one item, or of one
request. The row's own GFLOPs and parameters decide the size; the table of models decides the mix.
"""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.plan import Operation

TABLE: Final = Path(__file__).parent / "data" / "latency_models.toml"


class Convolutional(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A net by kinds of operators: multiply-adds, weights, values, operators, of one image."""

    name: str
    aliases: tuple[str, ...] = ()
    source: str
    image: int
    parameters: float
    kinds: dict[str, tuple[float, float, float, int]]

    @property
    def macs(self) -> float:
        """Multiply-adds of one image."""
        return sum(kind[0] for kind in self.kinds.values())


class Relative(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A net like another one, at another size and with so many times its operators and values."""

    name: str
    aliases: tuple[str, ...] = ()
    like: str
    image: int
    gflops: float
    params_m: float
    operators: float
    values: float


class Transformer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stack of layers by the sizes in its config.json."""

    name: str
    aliases: tuple[str, ...] = ()
    layers: int
    hidden: int
    heads: int
    kv_heads: int | None = None
    head_dim: int | None = None
    ffn: int
    vocabulary: int = 0
    gated: bool = False
    tied: bool = False
    causal: bool = False
    tokens: int | None = None
    image: int | None = None
    patch: int | None = None
    experts: int = 0
    experts_used: int = 0


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    convolutional: tuple[Convolutional, ...]
    relative: tuple[Relative, ...]
    transformer: tuple[Transformer, ...]


Model = Convolutional | Relative | Transformer

_TYPICAL: Final = (
    (r"distilbert|bert|minilm|bge|e5|gte|mpnet|electra|embed", "bert-base"),
    (r"whisper|wav2vec|hubert|conformer", "whisper-base-enc"),
    (r"vit|deit|dino|clip|siglip|transformer|swin|sam", "vit-base-16"),
    (r"yolo|detect|ssd|det\b", "yolov8n"),
    (r"efficient|mnas|ghost", "efficientnet_b0"),
    (r"mobile|shuffle|squeeze|light|tiny|nano|fast|lite", "mobilenet_v2"),
    (r"resnet|vgg|inception|dense|net|seg|cnn", "resnet50"),
)
_TYPICAL_TASK: Final = (
    (r"nlp|text|embed|token|question|sentence", "bert-base"),
    (r"asr|speech|audio", "whisper-base-enc"),
    (r"detect|pose", "yolov8n"),
    (r"classif|segment|image|vision", "resnet50"),
)
_NOISE: Final = re.compile(
    r"[-_ ](int8|fp16|fp32|quant(ized)?|bf16|float|static|dynamic|qat|seg|pose|obb|cls|instruct"
    r"|chat|hf|it|gguf|base-v\d|v\d\.\d|uncased|cased|squad|onnx|pt|100|224|640|320|416)$"
)


def plain(name: str) -> str:
    """A name as it is compared: small letters and digits."""
    return re.sub(r"[^a-z0-9.]", "", name.lower())


@cache
def table() -> Table:
    """The shipped table of models."""
    return msgspec.convert(tomllib.loads(TABLE.read_text()), Table)


@cache
def _by_name() -> dict[str, Model]:
    found: dict[str, Model] = {}
    listed: tuple[Model, ...] = (
        *table().transformer,
        *table().relative,
        *table().convolutional,
    )
    for model in listed:
        for name in (model.name, *model.aliases):
            found.setdefault(plain(name), model)
    return found


def find_model(name: str) -> Model | None:
    """The model of that name, however it is spelt; precision and task suffixes are left off."""
    short = name.lower().rsplit("/", 1)[-1]
    while True:
        found = _by_name().get(plain(short))
        if found is not None:
            return found
        shorter = _NOISE.sub("", short)
        if shorter == short:
            return None
        short = shorter


def typical_model(name: str, task: str) -> Model | None:
    """One of the kind that a name, or else a task, speaks of."""
    for text, rules in ((name, _TYPICAL), (task, _TYPICAL_TASK)):
        for pattern, typical in rules:
            if re.search(pattern, text.lower()):
                return _by_name()[plain(typical)]
    return None


def convolutional_operations(
    model: Convolutional | Relative, gflops: float | None, params_m: float | None
) -> tuple[Operation, ...]:
    """Operators of one image, scaled to the row's GFLOPs (2 a multiply-add) and parameters.

    More pixels move as many more values as they make more multiply-adds; a wider net moves
    values as the square root of its parameters.
    """
    if isinstance(model, Relative):
        base = _by_name()[plain(model.like)]
        if not isinstance(base, Convolutional):
            raise TypeError(f"{model.name} is like {model.like}, which is no convolution net")
        own = (model.gflops, model.params_m, model.operators, model.values)
    else:
        base = model
        own = (2 * model.macs / 1e9, model.parameters / 1e6, 1.0, 1.0)
    usual_gflops, usual_params, operators, values = own
    work = (gflops or usual_gflops) * 1e9 / 2 / base.macs
    wide = (params_m or usual_params) * 1e6 / base.parameters
    moved = values * work / wide**0.5
    return tuple(
        Operation(
            kind=kind,
            macs=macs * work / count,
            weights=weights * wide / count,
            activations=activations * moved / count,
            count=count,
        )
        for kind, (macs, weights, activations, each) in base.kinds.items()
        for count in (max(1, round(each * operators)),)
    )


def architecture_of(model: Transformer, params_m: float | None = None) -> Architecture:
    """Its shape; the row's parameters stand where they are given."""
    head_dim = model.head_dim or model.hidden // model.heads
    stack = Stack(
        name="decoder" if model.causal else "vision" if model.image else "encoder",
        layers=model.layers,
        hidden=model.hidden,
        heads=model.heads,
        kv_heads=model.kv_heads or model.heads,
        head_dim=head_dim,
        ffn=model.ffn,
        gated=model.gated,
        causal=model.causal,
        rms=model.causal and model.gated,
        tokens=model.tokens or _patches(model),
        experts=model.experts,
        experts_used=model.experts_used,
        expert_ffn=model.ffn if model.experts else 0,
    )
    embedding = model.vocabulary * model.hidden
    experts = model.experts * 3 * model.hidden * model.ffn * model.layers
    return Architecture(
        model_type="transformer",
        stacks=(stack,),
        vocabulary=model.vocabulary if model.causal else 0,
        tied=model.tied,
        image_size=model.image,
        parameters=round(params_m * 1e6) if params_m else _parameters(model, head_dim),
        embedding_parameters=embedding,
        head_parameters=0 if model.tied or not model.causal else embedding,
        expert_parameters=experts,
        basis="its published config.json",
    )


def _patches(model: Transformer) -> int | None:
    if model.image is None or model.patch is None:
        return None
    return (model.image // model.patch) ** 2 + 1


def _parameters(model: Transformer, head_dim: int) -> int:
    wide = (model.heads + (model.kv_heads or model.heads)) * 2 * head_dim
    forward = (3 if model.gated else 2) * model.ffn * max(1, model.experts)
    tables = model.vocabulary * (1 if model.tied or not model.causal else 2)
    return model.hidden * (model.layers * (wide + forward) + tables)
