"""Prune: a text or image encoder loses layers, feed-forward neurons or heads for good.

Takes a model in Hugging Face form and gives one, smaller, that loads and exports as any other. What
goes is what matters least on real inputs; without any, what has the smallest weights. Accuracy is
lost here and comes back with Distil or with fine-tuning.
"""

import json
from typing import ClassVar, Final, Literal

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import StepError
from deployopt.core.freeing import release_memory
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.steps.needs import need_format, need_packages, need_samples_file

CONFIG: Final = "config.json"
_BATCH: Final = 16
_CHECKED: Final = 4


class Prune(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`layers` to keep by number (none: all), `ffn` and `heads` the shares that stay.

    `importance` by taylor needs gradients, by activation a forward pass, by magnitude nothing;
    `samples` is the most inputs that are looked at.
    """

    name: ClassVar[str] = "prune"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    consumes: ClassVar[Format] = Format.TRANSFORMERS
    produces: ClassVar[Format] = Format.TRANSFORMERS
    uses_samples: ClassVar[bool] = True
    uses_lesson: ClassVar[bool] = False

    layers: tuple[int, ...] = ()
    ffn: float = 1.0
    heads: float = 1.0
    importance: Literal["taylor", "activation", "magnitude"] = "taylor"
    samples: int = 256

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not cut, as far as config.json tells."""
        from deployopt.modeling.pruning.families import check_heads, whole_shape
        from deployopt.modeling.pruning.shape import smaller

        need_format(self.name, source, self.consumes)
        need_packages("Prune", "torch", "transformers")
        need_samples_file(self.name, context, required=False)
        if self.samples < 1:
            raise StepError("Prune looks at one sample at least.")
        config = _config(source)
        whole = whole_shape(config)
        if whole is not None:
            shape = smaller(whole, layers=self.layers, heads=self.heads, ffn=self.ffn)
            check_heads(config.get("model_type"), whole, shape)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Score, cut, check, and write the folder."""
        from deployopt.modeling.pruning.folders import CutOptions, prune_folder

        feeds = decode_samples(context.samples)[: self.samples] if context.samples else []
        context.progress(0.0, "weighing its parts")
        pruned = prune_folder(
            source.folder,
            context.interface,
            context.workdir,
            CutOptions(
                layers=self.layers,
                ffn=self.ffn,
                heads=self.heads,
                importance=self.importance,
                batch=_BATCH,
                checked=_CHECKED,
                threads=context.threads,
            ),
            feeds,
        )
        release_memory()
        context.progress(1.0, "pruned")
        note = (
            f"{len(pruned.layers)} layers of {pruned.ffn} neurons and {pruned.heads} heads were "
            f"kept (layers {', '.join(map(str, pruned.layers))}), by {pruned.method}."
        )
        return Artifact(
            format=self.produces,
            folder=context.workdir,
            entry=CONFIG,
            digest="",
            precision=source.precision,
            notes=(*source.notes, note),
        )


def _config(source: Artifact) -> dict[str, object]:
    """The config as it is; checked for code where the model is loaded."""
    try:
        config = json.loads((source.folder / CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise StepError(f"{source.folder} has no {CONFIG} that can be read: {error}.") from error
    if not isinstance(config, dict):
        raise StepError(f"{source.folder / CONFIG} is not a JSON object. Fetch the model again.")
    return config
