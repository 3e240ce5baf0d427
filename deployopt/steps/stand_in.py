"""StandIn: a decoder for a card as this machine's CPU can be asked, in its place.

Takes a decoder for onnxruntime-genai that names another execution provider; gives the same graph
for the CPU, which works float16 out too, rounding where the card rounds. Weights of 8 bits become
float16 again: of these the CPU's kernel unpacks every matrix for every token. What is made is asked
here and never deployed.
"""

import json
from typing import ClassVar, Final

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.recipe import StepContext
from deployopt.steps.decoder import CONFIG, GRAPH, decoder_artifact
from deployopt.steps.needs import need_format, need_packages
from deployopt.store.writing import copy_new_file, write_new_file

_SLOW: Final = frozenset({8})
"""Bits of weights in blocks that have no kernel for float16 on a CPU."""


class StandIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No options: what it is made of decides everything."""

    name: ClassVar[str] = "stand-in"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("onnx", "numpy")
    consumes: ClassVar[Format] = Format.GENAI
    produces: ClassVar[Format] = Format.GENAI
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    def requires(self, source: Artifact, context: StepContext) -> None:  # noqa: ARG002 the Protocol's
        """Refuse what run could not change."""
        need_format(self.name, source, self.consumes)
        need_packages("StandIn", "onnx")

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write the folder."""
        from deployopt.graph.dequantize_blocks import dequantize_blocks
        from deployopt.graph.reading import load_onnx
        from deployopt.graph.writing import save_onnx

        context.progress(0.0, "making a stand-in for this machine")
        model = load_onnx(source.folder / GRAPH, trusted=True)
        widened = dequantize_blocks(model, _SLOW)
        save_onnx(model, context.workdir / GRAPH, external_above_bytes=0)
        for path in sorted(source.folder.iterdir()):
            if path.is_file() and not path.name.startswith(GRAPH) and path.name != CONFIG:
                copy_new_file(path, context.workdir / path.name)
        config = json.loads((source.folder / CONFIG).read_bytes())
        config["model"]["decoder"]["session_options"]["provider_options"] = []
        text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        write_new_file(context.workdir / CONFIG, text.encode())
        context.progress(1.0, "made")
        note = f"For this machine's CPU; {len(widened)} products have their weights in float again."
        return decoder_artifact(source, context, source.precision, (note,))
