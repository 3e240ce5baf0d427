"""QuantizeCache: a decoder that keeps what it has read in 8 bits instead of 32.

Takes a decoder for onnxruntime-genai and texts; gives the same decoder with keys and values in s8.
The cache takes a quarter of the memory; a long prompt is read more slowly, as what stands before
is turned back to float. Refuses a decoder whose attention cannot read such a cache.
"""

import json
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.steps.decoder import CONFIG, GRAPH, copy_beside, decoder_artifact
from deployopt.steps.needs import need_format, need_packages, need_samples_file
from deployopt.store.writing import copy_new_file, write_new_file

_DOCUMENTS: Final = 32


class QuantizeCache(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scale for each channel of each head, or with `per_channel` off one for a layer's all.

    `margin` widens the ranges that the texts show, for texts that go further.
    """

    name: ClassVar[str] = "quantize-cache"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "numpy")
    consumes: ClassVar[Format] = Format.GENAI
    produces: ClassVar[Format] = Format.GENAI
    uses_samples: ClassVar[bool] = True
    uses_lesson: ClassVar[bool] = False

    per_channel: bool = True
    margin: float = 1.1

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not quantize."""
        need_format(self.name, source, self.consumes)
        need_packages("Quantize", "onnx", "onnxruntime")
        need_samples_file(self.name, context, required=True)
        if not 1.0 <= self.margin <= 4.0:  # noqa: PLR2004 -- two bits less are no eight
            raise StepError(f"QuantizeCache takes a margin of 1 to 4, not {self.margin:g}.")

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write the folder."""
        from deployopt.graph.quantize_cache import cache_layers, cache_ranges, quantize_cache
        from deployopt.graph.reading import read_graph

        if context.samples is None:
            raise StepError("QuantizeCache needs samples.")
        model = read_graph(source.folder / GRAPH)
        layers = cache_layers(model, _head_size(source.folder / CONFIG))
        if not layers:
            raise StepError(
                "The decoder's attention cannot read a cache in 8 bits, or does so already. The "
                "form with a float cache stands."
            )
        documents = decode_samples(context.samples)[:_DOCUMENTS]

        def seen(done: int) -> None:
            context.progress(done / len(documents), "reading texts")

        ranges = cache_ranges(source.folder / GRAPH, layers, documents, context.threads, seen)
        wider = {name: found * self.margin for name, found in ranges.items()}
        quantize_cache(model, layers, wider, per_channel=self.per_channel)
        copy_beside(source.folder, context.workdir)
        weights = source.folder / f"{GRAPH}.data"
        if weights.is_file():
            copy_new_file(weights, context.workdir / weights.name)
        write_new_file(context.workdir / GRAPH, model.SerializeToString(deterministic=True))
        note = f"Keys and values of {len(layers)} layers are kept in 8 bits."
        return decoder_artifact(source, context, source.precision, (note,))


def _head_size(path: Path) -> int:
    config = json.loads(path.read_bytes())
    return int(config["model"]["decoder"]["head_size"])
