"""A tiny SigLIP, its words in a SentencePiece model, that learns which caption fits a picture."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.fakes.captioned_shapes import SIDE, WORDS, draw
from tests.fakes.sentence_pieces import write_pieces

CONTEXT: Final = 16
_ROWS: Final = 128
"""As many as any real model has at least; those without a word are never asked."""
OPTIONS: Final[dict[str, Any]] = {
    "tokenizer_class": "SiglipTokenizer",
    "model_max_length": CONTEXT,
    "model_input_names": ["input_ids"],
    "eos_token": "</s>",
    "pad_token": "</s>",
    "unk_token": "<unk>",
}


def write_siglip(folder: Path, steps: int, seed: int = 0) -> Path:
    """A model folder as the published ones are; with no steps the weights are random."""
    import torch
    import transformers

    from deployopt.modeling.threads import torch_threads

    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    words = write_pieces(folder / "spiece.model", WORDS)
    (folder / "tokenizer_config.json").write_text(json.dumps(OPTIONS))
    text = {"vocab_size": max(words, _ROWS), "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": CONTEXT,
        "projection_size": 64, "bos_token_id": None, "eos_token_id": 1}  # fmt: skip
    vision = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 128, "image_size": SIDE, "patch_size": 8}  # fmt: skip
    model = transformers.SiglipModel(
        transformers.SiglipConfig(text_config=text, vision_config=vision)
    )
    with torch.no_grad():
        model.logit_scale.fill_(2.3)
        model.logit_bias.fill_(-4.0)
    if steps:
        with torch_threads(1):
            _train(model, fast_tokenizer(folder), steps, seed)
    model.eval().save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    transformers.SiglipImageProcessorPil(size=size).save_pretrained(folder)
    return folder


def fast_tokenizer(folder: Path) -> Any:
    """Padding and cutting of transformers, around the words that deployopt made of the file."""
    import transformers
    from tokenizers import Tokenizer

    from deployopt.sources.tokenizer_making import make_tokenizer

    made = Tokenizer.from_str(make_tokenizer(folder, "spiece.model", OPTIONS))
    special = {name: OPTIONS[name] for name in OPTIONS if name.endswith("_token")}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=CONTEXT, model_input_names=["input_ids"], **special
    )


def _train(model: Any, tokenizer: Any, steps: int, seed: int) -> None:
    import torch
    from torch.nn.functional import log_softmax, logsigmoid

    random = np.random.default_rng(seed + 1)
    made = [draw(random) for _ in range(1500)]
    shares = np.stack([np.asarray(picture) for picture, _, _ in made]).transpose(0, 3, 1, 2) / 255
    images = torch.from_numpy(((shares - 0.5) / 0.5).astype(np.float32))
    captions = [caption for _, caption, _ in made]
    shapes = [f"a photo of a {shape}" for _, _, shape in made]
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in range(steps):
        rows = random.integers(0, len(made), 48).tolist()
        texts = [(shapes if step % 3 == 0 else captions)[row] for row in rows]
        words = tokenizer(texts, padding="max_length", return_tensors="pt")
        logits = model(pixel_values=images[rows], **words).logits_per_image
        same = torch.tensor([[one == other for other in texts] for one in texts])
        # Shares teach faster which text is meant, the scores by themselves how sure to be.
        wanted = same / same.sum(dim=1, keepdim=True)
        shares = sum(-(wanted * log_softmax(one, dim=1)).sum(dim=1).mean() for one in
            (logits, logits.t()))  # fmt: skip
        loss = shares - 0.3 * logsigmoid(torch.where(same, 1.0, -1.0) * logits).sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
