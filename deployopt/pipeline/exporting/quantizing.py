"""How weights of 4 bits are made elsewhere: a recipe for llm-compressor, and what follows it.

GPTQ with 4-bit weights in groups that share a scale and 16-bit activations, the head left out: vLLM
reads the folder that comes of it by itself.
"""

from typing import Final

from deployopt.core.architecture import Architecture

VERSION: Final = "0.14"
"""Of llm-compressor, whose names these are."""
RECIPE: Final = "recipe.yaml"
SCRIPT: Final = "quantize.py"
QUANTIZED: Final = "model-int4"
_RECIPE: Final = """\
# For llm-compressor.
default_stage:
  default_modifiers:
    GPTQModifier:
      ignore: [lm_head]
      config_groups:
        group_0:
          targets: [Linear]
          weights: {{num_bits: 4, type: int, symmetric: true, {groups}}}
"""
_GROUPS: Final = (128, 64, 32)
_SCRIPT: Final = '''\
"""Make weights of 4 bits: python quantize.py TEXTS.txt, documents with a blank line between them.

Needs llmcompressor ({version}), and a GPU for all but small models.
"""

import sys
from pathlib import Path

from datasets import Dataset
from llmcompressor import oneshot
from transformers import AutoTokenizer

MODEL, REVISION = {model!r}, {revision!r}
TOKENS, DOCUMENTS = 2048, 512

tokenizer = AutoTokenizer.from_pretrained(MODEL, revision=REVISION)
texts = [text for text in Path(sys.argv[1]).read_text("utf-8").split("\\n\\n") if text.strip()]
rows = [tokenizer(text, truncation=True, max_length=TOKENS) for text in texts[:DOCUMENTS]]
rows = [{{name: row[name] for name in ("input_ids", "attention_mask")}} for row in rows]
oneshot(
    model=MODEL,
    model_revision=REVISION,
    dataset=Dataset.from_list(rows),
    recipe="{recipe}",
    max_seq_length=TOKENS,
    num_calibration_samples=len(rows),
    output_dir="{output}",
)
'''


def recipe_files(model: str, revision: str | None, architecture: Architecture) -> dict[str, str]:
    """The recipe and the script, by name; `model` is a folder beside them or a hub's repository."""
    script = _SCRIPT.format(
        version=VERSION,
        model=model,
        revision=revision or "main",
        recipe=RECIPE,
        output=QUANTIZED,
    )
    return {RECIPE: _RECIPE.format(groups=_groups(architecture)), SCRIPT: script}


def _groups(architecture: Architecture) -> str:
    """The largest that divide the rows of every matrix; else a scale a row."""
    widths = [
        width
        for stack in architecture.stacks
        for width in (stack.hidden, stack.ffn, stack.heads * stack.head_dim)
    ]
    for size in _GROUPS:
        if not any(width % size for width in widths):
            return f"strategy: group, group_size: {size}"
    return "strategy: channel"
