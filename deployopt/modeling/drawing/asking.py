"""What the graphs of a pipeline are asked while they draw real prompts.

In: three files, what the pipeline takes, requests. Out: the questions of each part, from noise
alone to next to none, as its own answers make them. The loop is the reference's, with graphs in the
place of networks.
"""

from collections.abc import Sequence
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn

from deployopt.core.drawing import PARTS, Part
from deployopt.core.interface import DrawingInputs
from deployopt.core.samples import Feed
from deployopt.modeling.drawing.loading import Networks
from deployopt.modeling.drawing.reference import Asked, drawn
from deployopt.modeling.threads import torch_threads


class GraphPart(nn.Module):  # type: ignore[misc] # torch is not followed
    """A graph as a network: it answers the same, and learns nothing."""

    def __init__(self, path: Path, part: Part, threads: int) -> None:
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        self._part = part
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )

    def forward(self, *given: Tensor) -> Tensor:
        """Its one output."""
        feed = {name: one.numpy() for name, one in zip(self._part.inputs, given, strict=True)}
        (answer,) = self._session.run([self._part.output], feed)
        return torch.from_numpy(answer)


def questions_of_graphs(
    folder: Path, inputs: DrawingInputs, feeds: Sequence[Feed], threads: int
) -> dict[str, list[Feed]]:
    """Each part's requests while the feeds are drawn whole, by the name of its file."""
    parts = {part.file: GraphPart(folder / part.file, part, threads) for part in PARTS}
    text, unet, decoder = parts.values()
    networks = Networks(text_encoder=text, unet=unet, vae=decoder)
    asked = Asked(text=[], noise=[], image=[])
    with torch_threads(threads), torch.inference_mode():
        for feed in feeds:
            drawn(networks, inputs, feed, asked)
    lists = (asked.text, asked.noise, asked.image)
    return {
        part.file: [dict(zip(part.inputs, one, strict=True)) for one in questions]
        for part, questions in zip(PARTS, lists, strict=True)
    }
