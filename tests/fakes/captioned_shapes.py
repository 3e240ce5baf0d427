"""Pictures of one coloured shape each with a caption, and a tiny CLIP that learns to match them."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

SIDE: Final = 32
SHAPES: Final = ("circle", "square", "triangle")
COLOURS: Final = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (50, 70, 230),
    "white": (240, 240, 240)}  # fmt: skip
ROWS: Final = ("top", "bottom")
COLUMNS: Final = ("left", "right")
SIZES: Final = {"small": 6, "large": 12}
WORDS: Final = ("a", "photo", "of", *SIZES, *COLOURS, *SHAPES, "at", "the", *ROWS, *COLUMNS)
CONTEXT: Final = 16
MEAN: Final = (0.48, 0.46, 0.41)
STD: Final = (0.27, 0.26, 0.28)
PREPROCESSOR: Final[dict[str, Any]] = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": SIDE},
    "do_center_crop": True,
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_normalize": True,
    "resample": 3,
    "image_mean": list(MEAN),
    "image_std": list(STD),
}

Floats = npt.NDArray[np.float32]


def draw(random: np.random.Generator) -> tuple[Image.Image, str, str]:
    """A picture, its caption, and which shape it is."""
    ground = tuple(int(x) for x in random.integers(0, 50, 3))
    picture = Image.new("RGB", (SIDE, SIDE), ground)
    pen = ImageDraw.Draw(picture)
    shape = SHAPES[random.integers(len(SHAPES))]
    colour = tuple(COLOURS)[random.integers(len(COLOURS))]
    size = tuple(SIZES)[random.integers(len(SIZES))]
    row, column = (int(x) for x in random.integers(0, 2, 2))
    wide = SIZES[size]
    left, top = column * 16 + int(random.integers(1, 4)), row * 16 + int(random.integers(1, 4))
    right, bottom = left + wide, top + wide
    if shape == "circle":
        pen.ellipse((left, top, right, bottom), fill=COLOURS[colour])
    elif shape == "square":
        pen.rectangle((left, top, right, bottom), fill=COLOURS[colour])
    else:
        corners = [(left + wide // 2, top), (left, bottom), (right, bottom)]
        pen.polygon(corners, fill=COLOURS[colour])
    caption = f"a {size} {colour} {shape} at the {ROWS[row]} {COLUMNS[column]}"
    return picture, caption, shape


def write_classes(folder: Path, count: int, seed: int = 5) -> Path:
    """So many pictures, one sub-folder a shape."""
    random = np.random.default_rng(seed)
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True)
    for number in range(count):
        picture, _, shape = draw(random)
        picture.save(folder / shape / f"{number:05d}.png")
    return folder


def write_labels(path: Path) -> Path:
    """The shapes with two captions each, as CSV."""
    lines = [f"{text},{shape}" for shape in SHAPES for text in (f"a photo of a {shape}", shape)]
    path.write_text("\n".join(("text,label", *lines)) + "\n", encoding="utf-8")
    return path


def write_captions(folder: Path, count: int, seed: int = 6) -> Path:
    """So many pictures in `images`, and `captions.jsonl` beside them."""
    random = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    lines = []
    for number in range(count):
        picture, caption, _ = draw(random)
        name = f"{number:05d}.png"
        picture.save(folder / "images" / name)
        lines.append(json.dumps({"image": f"images/{name}", "caption": caption}))
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_clip(folder: Path, steps: int, seed: int = 0) -> Path:
    """A model folder; with no steps the weights are random."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    from deployopt.modeling.threads import torch_threads

    torch.manual_seed(seed)
    tokenizer = _tokenizer()
    words = len(tokenizer)
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = {"vocab_size": words, "hidden_size": 32, "num_hidden_layers": 2, "pad_token_id": 1,
        "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": CONTEXT,
        **special}  # fmt: skip
    # Wide enough that int8 has something to gain.
    vision = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 256, "image_size": SIDE, "patch_size": 8}  # fmt: skip
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    model = CLIPModel(config)
    if steps:
        # Of work this small a second core makes less, and where others work next to nothing.
        with torch_threads(1):
            _train(model, tokenizer, steps, seed)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return folder


def _tokenizer() -> Any:
    """CLIP's own kind, with a token for each word that the captions have."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    vocabulary = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    merges: list[tuple[str, str]] = []
    for piece in [*letters, *(f"{letter}</w>" for letter in letters)]:
        vocabulary[piece] = len(vocabulary)
    for word in WORDS:
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        while len(pieces) > 1:
            pair = (pieces[0], pieces[1])
            pieces[:2] = ["".join(pair)]
            if pieces[0] not in vocabulary:
                vocabulary[pieces[0]] = len(vocabulary)
                merges.append(pair)
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CONTEXT)


def pixels(pictures: list[Image.Image]) -> Floats:
    """As the model takes them."""
    stacked = np.stack([np.asarray(picture) for picture in pictures]) / 255
    shares = (stacked - np.asarray(MEAN)) / np.asarray(STD)
    return np.asarray(shares.transpose(0, 3, 1, 2), dtype=np.float32)


def _train(model: Any, tokenizer: Any, steps: int, seed: int) -> None:
    import torch
    from torch.nn.functional import log_softmax

    random = np.random.default_rng(seed + 1)
    made = [draw(random) for _ in range(1500)]
    images = torch.from_numpy(pixels([picture for picture, _, _ in made]))
    captions = [caption for _, caption, _ in made]
    # Of the rest of what is asked it learns whole sentences, of a shape its name alone too.
    shapes = [f"a photo of a {shape}" for _, _, shape in made]
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in range(steps):
        rows = random.integers(0, len(made), 64).tolist()
        texts = [(shapes if step % 4 == 0 else captions)[row] for row in rows]
        answer = model(pixel_values=images[rows], **tokenizer(texts, padding=True,
            return_tensors="pt"))  # fmt: skip
        # Who says the same is right as well.
        same = torch.tensor([[one == other for other in texts] for one in texts]).float()
        wanted = same / same.sum(dim=1, keepdim=True)
        both = (answer.logits_per_image, answer.logits_per_text)
        loss = sum(-(wanted * log_softmax(one, dim=1)).sum(dim=1).mean() for one in both)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
