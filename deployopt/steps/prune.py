"""Prune: an encoder loses layers, neurons or heads for good, a convolution net its channels.

Takes a model in Hugging Face form and gives one, smaller, that loads and exports as any other. What
goes is what matters least on real inputs; without any, what has the smallest weights. Accuracy is
lost here and comes back with Distil or with fine-tuning.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import StepError
from deployopt.core.freeing import release_memory
from deployopt.core.recipe import StepContext
from deployopt.core.samples import Feed, decode_samples
from deployopt.steps.needs import need_format, need_packages, need_samples_file

if TYPE_CHECKING:
    from deployopt.modeling.pruning.folders import CutOptions

CONFIG: Final = "config.json"
_BATCH: Final = 16
_CHECKED: Final = 4


class Prune(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`layers` to keep by number (none: all), `ffn`, `heads` and `channels` the shares that stay.

    Encoders lose the first three, convolution nets channels. `importance` by taylor needs
    gradients, by activation a forward pass, by magnitude nothing; `samples` is the most inputs
    that are looked at.
    """

    name: ClassVar[str] = "prune"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("torch", "torch-pruning", "transformers")
    consumes: ClassVar[Format] = Format.TRANSFORMERS
    produces: ClassVar[Format] = Format.TRANSFORMERS
    uses_samples: ClassVar[bool] = True
    uses_lesson: ClassVar[bool] = False

    layers: tuple[int, ...] = ()
    ffn: float = 1.0
    heads: float = 1.0
    channels: float = 1.0
    importance: Literal["taylor", "activation", "magnitude"] = "taylor"
    samples: int = 256

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not cut, as far as config.json tells."""
        from deployopt.modeling.pruning.families import check_heads, whole_shape
        from deployopt.modeling.pruning.shape import smaller
        from deployopt.modeling.pruning.widths import narrower

        need_format(self.name, source, self.consumes)
        need_packages("Prune", "torch", "transformers")
        need_samples_file(self.name, context, required=False)
        if self.samples < 1:
            raise StepError("Prune looks at one sample at least.")
        config = _config(source)
        if self._narrows(config):
            need_packages("Prune", "torch_pruning")
            narrower(config, self.channels)
            return
        whole = whole_shape(config)
        if whole is not None:
            shape = smaller(whole, layers=self.layers, heads=self.heads, ffn=self.ffn)
            check_heads(config.get("model_type"), whole, shape)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Score, cut, check, and write the folder."""
        feeds = decode_samples(context.samples)[: self.samples] if context.samples else []
        context.progress(0.0, "weighing its parts")
        cut = self._narrow if self._narrows(_config(source)) else self._shrink
        note = cut(source, context, feeds)
        release_memory()
        context.progress(1.0, "pruned")
        return Artifact(
            format=self.produces,
            folder=context.workdir,
            entry=CONFIG,
            digest="",
            precision=source.precision,
            notes=(*source.notes, note),
        )

    def _narrows(self, config: dict[str, object]) -> bool:
        """Whether channels are cut; refuses what the model's kind does not have."""
        from deployopt.modeling.pruning.kinds import pruned_by

        model_type = str(config.get("model_type"))
        kind = pruned_by(model_type)
        narrows = kind == "channels" or (kind is None and self.channels != 1)
        if narrows and (self.layers or self.ffn != 1 or self.heads != 1):
            raise StepError(
                f"A {model_type[:64]} model has no layers, neurons or heads that could be cut by "
                "number: it is a convolution net. Give a share of its channels alone."
            )
        if kind == "encoder" and self.channels != 1:
            raise StepError(
                f"A {model_type} model has no channels to cut: it is an encoder. Give layers, ffn "
                "or heads instead."
            )
        return narrows

    def _narrow(self, source: Artifact, context: StepContext, feeds: Sequence[Feed]) -> str:
        from deployopt.modeling.pruning.channel_folders import narrow_folder

        left = narrow_folder(
            source.folder, context.interface, context.workdir, self._options(context), feeds
        )
        return (
            f"{left.kept} of {left.channels} channels were kept, by {left.method}: "
            f"{left.model.num_parameters():,} parameters are left."
        )

    def _shrink(self, source: Artifact, context: StepContext, feeds: Sequence[Feed]) -> str:
        from deployopt.modeling.pruning.folders import prune_folder

        pruned = prune_folder(
            source.folder, context.interface, context.workdir, self._options(context), feeds
        )
        return (
            f"{len(pruned.layers)} layers of {pruned.ffn} neurons and {pruned.heads} heads were "
            f"kept (layers {', '.join(map(str, pruned.layers))}), by {pruned.method}."
        )

    def _options(self, context: StepContext) -> "CutOptions":
        from deployopt.modeling.pruning.folders import CutOptions

        return CutOptions(
            layers=self.layers,
            ffn=self.ffn,
            heads=self.heads,
            channels=self.channels,
            importance=self.importance,
            batch=_BATCH,
            checked=_CHECKED,
            threads=context.threads,
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
