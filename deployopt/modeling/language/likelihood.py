"""How likely a model takes the marked tokens of samples to be: float32, one sample at a time.

In: a folder in Hugging Face form, samples. Out: the negative log-likelihood of each, in nats,
summed over its marked tokens, in float64. On a GPU where there is one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from deployopt.core.dialogues import Sample
from deployopt.core.interface import Interface
from deployopt.modeling.threads import torch_threads
from deployopt.modeling.training.continuing import Continuing
from deployopt.modeling.training.decoders import start_decoder
from deployopt.modeling.training.job import Words
from deployopt.modeling.training.places import on_gpu


def marked_nll(
    folder: Path,
    interface: Interface,
    samples: Sequence[Sample],
    *,
    threads: int = 1,
    progress: Callable[[float, str], None] = lambda _share, _words: None,
) -> tuple[float, ...]:
    """One sum a sample.

    Raises:
        RefusedInputError: the folder may not be opened.
        StepError: it does not load.
    """
    found = []
    device = "cuda" if on_gpu() else "cpu"
    with torch_threads(threads), torch.inference_mode():
        model = start_decoder(folder).model.eval().to(device)
        lesson = Continuing(Words(interface=interface, train=(), validation=()), model)
        for at, sample in enumerate(samples, start=1):
            batch = {name: one.to(device) for name, one in lesson.together([sample]).items()}
            found.append(float(lesson.sums(model, batch)[0].double().sum()))
            progress(at / len(samples), f"{at} of {len(samples)}")
    return tuple(found)
