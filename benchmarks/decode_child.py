"""One runner of bench_decode: opens a language model in this fresh process, answers as it is told.

Usage: decode_child.py SPEC (a JSON object: benchmarks.bench_decode.Spec). It answers every prompt
once, prints `ready`, and then answers each line of stdin (the number of a prompt) with a line of
JSON: seconds to the first token, seconds of all later tokens. `peak` gives the most bytes that were
resident so far, `fill` the same after the whole context was filled, in pieces as a bundle takes it.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.bench_decode import Spec
from deployopt.device.generating.decoder import PIECE
from deployopt.device.readings import peak_rss_bytes
from deployopt.device.setup import Setup

Answer = Callable[[Sequence[int]], tuple[float, float]]
Fill = Callable[[], None]


def main() -> None:
    """Open, warm up, answer until stdin ends."""
    spec = msgspec.json.decode(sys.argv[1], type=Spec)
    os.sched_setaffinity(0, spec.cores)
    answer, fill = (of_torch if spec.engine == "torch" else of_genai)(spec)
    for prompt in spec.prompts:
        answer(prompt)
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() in {"peak", "fill"}:
            if line.strip() == "fill":
                fill()
            print(peak_rss_bytes(), flush=True)
        else:
            print(json.dumps(answer(spec.prompts[int(line)])), flush=True)


def of_torch(spec: Spec) -> tuple[Answer, Fill]:
    """The folder in Hugging Face form, eager, with its cache of keys and values."""
    import torch
    import transformers

    torch.set_num_threads(spec.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(spec.model, dtype=torch.float32)
    model.eval()

    def answer(prompt: Sequence[int]) -> tuple[float, float]:
        start = time.perf_counter()
        with torch.inference_mode():
            found = model(torch.tensor([list(prompt)]), use_cache=True, logits_to_keep=1)
            token = found.logits[:, -1:].argmax(-1)
            token.item()
            first = time.perf_counter()
            for _ in range(spec.tokens - 1):
                found = model(token, past_key_values=found.past_key_values, use_cache=True)
                token = found.logits[:, -1:].argmax(-1)
                token.item()
        return first - start, time.perf_counter() - first

    def fill() -> None:
        cache = None
        with torch.inference_mode():
            for piece in pieces(spec):
                ids = torch.tensor([piece])
                found = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
                cache = found.past_key_values

    return answer, fill


def of_genai(spec: Spec) -> tuple[Answer, Fill]:
    """As a bundle is opened."""
    from deployopt.device.generating.decoder import open_decoder

    setup = Setup(
        artifact="", model=Path(spec.model), threads=spec.threads, runtime="onnxruntime-genai"
    )
    decoder = open_decoder(setup, stops=False)

    def answer(prompt: Sequence[int]) -> tuple[float, float]:
        start = time.perf_counter()
        generation = decoder.begin(spec.context)
        generation.take(prompt)
        generation.next()
        first = time.perf_counter()
        for _ in range(spec.tokens - 1):
            generation.next()
        return first - start, time.perf_counter() - first

    def fill() -> None:
        generation = decoder.begin(spec.context)
        for piece in pieces(spec):
            generation.take(piece)
        generation.next()

    return answer, fill


def pieces(spec: Spec) -> list[list[int]]:
    """All of the context but one token: the prompts over and over."""
    tokens = np.resize(np.concatenate(spec.prompts), spec.context - 1)
    return [tokens[at : at + PIECE].tolist() for at in range(0, tokens.size, PIECE)]


if __name__ == "__main__":
    main()
