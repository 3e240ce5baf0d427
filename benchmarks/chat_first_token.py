"""How much later does `chat` show its first token than a bare loop over onnxruntime-genai?

Run `python -m benchmarks.chat_first_token BUNDLE [--pairs 15]` from the repository: a Markdown
row a length of the message. Both models are open beforehand; chat answers from its own process, and
the time is until its first piece has come out of it. The two take turns, and each reads everything
anew: what chat keeps from the turn before is not used here.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import onnxruntime_genai

from deployopt.core.generation import Sampling
from deployopt.device.bundle_reader import OpenBundle, open_bundle
from deployopt.device.chatting.conversation import Conversation
from deployopt.device.chatting.opening import context_of, open_model

WORDS = (10, 80, 300)
AIM = 1.2
_TEXT = "the quick brown fox jumps over a lazy dog and "


def main() -> int:
    """Exit 1 where the aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--pairs", type=int, default=15)
    asked = parser.parse_args()
    bundle = open_bundle(asked.bundle)
    bare = _bare(bundle)
    print("| tokens | bare loop, ms | chat, ms | ratio, median of pairs |")
    print("|---|---|---|---|")
    worst = 0.0
    with Conversation(open_model(bundle), sampling=Sampling(max_tokens=2)) as chat:
        for words in WORDS:
            message = (_TEXT * (words // 9 + 1)).rsplit(" ", 1)[0]
            ratio = _print_row(chat, bare, message, asked.pairs)
            worst = max(worst, ratio)
    return int(worst > AIM)


def _print_row(chat: Conversation, bare: Callable[[str], float], message: str, pairs: int) -> float:
    times: list[tuple[float, float]] = []
    for number in range(pairs + 1):
        if number % 2:
            times.append((bare(message), _chat(chat, message)))
        else:
            second = _chat(chat, message)
            times.append((bare(message), second))
    del times[0]  # warm-up
    ratio = median(ours / theirs for theirs, ours in times)
    last = chat.last
    print(
        f"| {last.prompt_tokens if last else 0} | {1e3 * median(a for a, _ in times):.1f} "
        f"| {1e3 * median(b for _, b in times):.1f} | {ratio:.3f} |"
    )
    return ratio


def _chat(chat: Conversation, message: str) -> float:
    chat.reset()
    start, first = time.perf_counter_ns(), 0
    for _ in chat.stream(message):
        first = first or time.perf_counter_ns()
    return (first - start) / 1e9


def _bare(bundle: OpenBundle) -> Callable[[str], float]:
    """What a script of ten lines does."""
    setup = bundle.setup
    config = onnxruntime_genai.Config(str(setup.model.parent))
    options: dict[str, Any] = {"intra_op_num_threads": setup.threads, "inter_op_num_threads": 1}
    config.overlay(json.dumps({"model": {"decoder": {"session_options": options}}}))
    model = onnxruntime_genai.Model(config)
    tokenizer = onnxruntime_genai.Tokenizer(model)
    params = onnxruntime_genai.GeneratorParams(model)
    params.set_search_options(max_length=context_of(bundle), do_sample=False)

    def first_token(message: str) -> float:
        start = time.perf_counter_ns()
        said = json.dumps([{"role": "user", "content": message}])
        ids = tokenizer.encode(
            tokenizer.apply_chat_template(messages=said, add_generation_prompt=True)
        )
        generator = onnxruntime_genai.Generator(model, params)
        generator.append_tokens(ids)
        generator.generate_next_token()
        tokenizer.create_stream().decode(generator.get_next_tokens()[0])
        return (time.perf_counter_ns() - start) / 1e9

    return first_token


if __name__ == "__main__":
    sys.exit(main())
