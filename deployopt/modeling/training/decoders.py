"""A causal language model to be tuned: all of it as it came, with no head of its own to learn.

In: a folder in Hugging Face form. Out: the torch module in float32, in bfloat16 where its own
weights stay as they are, or in 4 bits. Refuses weights that are not the model's.
"""

from pathlib import Path
from typing import Any

import torch

from deployopt.core.artifact import Precision
from deployopt.core.errors import StepError
from deployopt.core.interface import Task
from deployopt.core.memory import Method
from deployopt.core.training import TrainingOptions
from deployopt.modeling.loading import check_weights, model_class_of, read_config
from deployopt.modeling.quiet import quiet_transformers
from deployopt.modeling.training.starting import Start, quantization


def start_decoder(folder: Path, options: TrainingOptions | None = None) -> Start:
    """The model to train; without options float32.

    Raises:
        RefusedInputError: pickled weights, or a config that asks for code.
        StepError: the weights are not those of the config, or transformers has no such class.
    """
    config = read_config(folder)
    check_weights(folder)
    model_class = model_class_of(folder, config, Task.TEXT_GENERATION)
    with quiet_transformers():
        try:
            model, report = model_class.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                **_form(options),
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise StepError(
                f"The weights in {folder} do not load as {model_class.__name__}: {error} "
                "Check that config.json belongs to these weights."
            ) from error
    lacking = sorted({*report["missing_keys"], *(str(m[0]) for m in report["mismatched_keys"])})
    if lacking:
        raise StepError(
            f"{folder} lacks {len(lacking)} of the weights that its config.json calls for "
            f"({lacking[0]}): training would start from random numbers there. Fetch it again."
        )
    return Start(model, (), headed=False)


def coarse(options: TrainingOptions) -> bool:
    """Whether the base is held with fewer bits than it is written with; adapters are not."""
    half = options.precision is Precision.BF16 and options.method is Method.LORA
    return half or options.method is Method.QLORA


def _form(options: TrainingOptions | None) -> dict[str, Any]:
    if options is None or not coarse(options):
        return {"dtype": torch.float32}
    if options.method is Method.QLORA:
        return {"dtype": torch.float32, **quantization(quantized=True)}
    return {"dtype": torch.bfloat16}
