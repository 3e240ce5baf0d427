"""The files of a pipeline of graphs: what each is called, and what lies between them."""

from typing import Final

import msgspec

from deployopt.core.interface import DrawingInputs

SETTINGS: Final = "drawing.json"
TEXT_ENCODER: Final = "text_encoder.onnx"
UNET: Final = "unet.onnx"
DECODER: Final = "vae_decoder.onnx"
GRAPHS: Final = (TEXT_ENCODER, UNET, DECODER)
IMAGE: Final = "image"
SECONDS: Final = "seconds"
"""Of a session's outputs: what each graph took."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One network as a file: what it is asked, in order, and what it answers."""

    file: str
    inputs: tuple[str, ...]
    output: str


PARTS: Final = (
    Part(file=TEXT_ENCODER, inputs=("input_ids",), output="last_hidden_state"),
    Part(file=UNET, inputs=("sample", "timestep", "encoder_hidden_states"), output="noise"),
    Part(file=DECODER, inputs=("latents",), output="image"),
)
"""Of GRAPHS, in their order."""


class Drawing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`drawing.json`: what lies between the graphs."""

    format_version: int = 1
    inputs: DrawingInputs
