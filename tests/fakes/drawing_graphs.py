"""A pipeline of three tiny graphs that needs no torch: what each says can be worked out by hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper as make
import onnx.numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from deployopt.core.codec import encode_pretty
from deployopt.core.drawing import DECODER, SETTINGS, TEXT_ENCODER, UNET, Drawing
from deployopt.core.interface import DrawingInputs, Interface, Task
from deployopt.core.noise_schedule import NoiseSchedule

Dims = list[int | str]
Weights = Mapping[str, npt.NDArray[Any]]
F32, I64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
WORDS, WIDTH, LENGTH = 8, 4, 3
SCHEDULE = NoiseSchedule(
    train_steps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    betas="scaled_linear",
    prediction="epsilon",
    spacing="leading",
    offset=1,
    ends_clean=False,
)
INPUTS = DrawingInputs(
    length=LENGTH,
    pad_id=0,
    channels=3,
    height=4,
    width=6,
    pixels=2,
    scaling=0.5,
    schedule=SCHEDULE,
)
DRAWS = Interface(task=Task.IMAGE_GENERATION, inputs=INPUTS, outputs=("image",))
TABLE = np.linspace(-1.0, 1.0, WORDS * WIDTH, dtype=np.float32).reshape(WORDS, WIDTH)


def write_graphs(folder: Path, inputs: DrawingInputs = INPUTS) -> Path:
    """The settings' path; noise = sample / 10 + mean(hidden), image = latents twice as large."""
    folder.mkdir(parents=True, exist_ok=True)
    latent: Dims = ["batch", inputs.channels, inputs.height, inputs.width]
    image: Dims = ["batch", 3, inputs.height * inputs.pixels, inputs.width * inputs.pixels]
    hidden: Dims = ["batch", LENGTH, WIDTH]
    _save(
        folder / TEXT_ENCODER,
        [make.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        [("input_ids", I64, ["batch", LENGTH])],
        ("last_hidden_state", F32, hidden),
        {"table": TABLE},
    )
    _save(
        folder / UNET,
        [
            make.make_node("ReduceMean", ["encoder_hidden_states"], ["mean"], axes=[1, 2]),
            make.make_node("Reshape", ["mean", "shape"], ["apart"]),
            make.make_node("Cast", ["timestep"], ["unread"], to=F32),
            make.make_node("Mul", ["sample", "tenth"], ["less"]),
            make.make_node("Add", ["less", "apart"], ["noise"]),
        ],
        [
            ("sample", F32, latent),
            ("timestep", I64, ["batch"]),
            ("encoder_hidden_states", F32, hidden),
        ],
        ("noise", F32, latent),
        {"shape": np.array([-1, 1, 1, 1]), "tenth": np.array(0.1, np.float32)},
    )
    _save(
        folder / DECODER,
        [make.make_node("Resize", ["latents", "", "scales"], ["image"], mode="nearest")],
        [("latents", F32, latent)],
        ("image", F32, image),
        {"scales": np.array([1, 1, inputs.pixels, inputs.pixels], np.float32)},
    )
    (folder / SETTINGS).write_bytes(encode_pretty(Drawing(inputs=inputs)))
    return folder / SETTINGS


def write_words(folder: Path) -> Path:
    """A tokenizer of whole words, `a` to `h`."""
    letters = {letter: at for at, letter in enumerate("abcdefgh")}
    words = Tokenizer(models.WordLevel(letters, unk_token="h"))  # noqa: S106 -- a word
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    path = folder / "tokenizer.json"
    path.write_text(words.to_str())
    return path


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[tuple[str, int, Dims]],
    output: tuple[str, int, Dims],
    weights: Weights,
) -> None:
    graph = make.make_graph(
        nodes,
        "part",
        [make.make_tensor_value_info(*one) for one in inputs],
        [make.make_tensor_value_info(*output)],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
