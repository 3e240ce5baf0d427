"""Does lm-evaluation-harness choose what deployopt chooses, of the same bundle and questions?

    pip install 'deployopt[build,chat,lm-eval]'
    python -m benchmarks.choices_beside_harness BUNDLE questions.jsonl [--most 400] [--json FILE]

The harness reads the bundle's model folder by itself: its own onnxruntime-genai backend, its own
tokenizer (transformers) and its own arithmetic, one pass over question and choice together.
Compared are every choice's log-likelihood and every question's answer. Ends with 1 where an answer
differs.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from deployopt.core.choices import choice_of
from deployopt.device.bundle_reader import OpenBundle, open_bundle
from deployopt.device.generating.choosing import Chooser
from deployopt.device.generating.decoder import open_decoder
from deployopt.device.machine import describe_machine
from deployopt.sources.choice_lines import AskedQuestion, read_choice_lines
from deployopt.sources.choices import QuestionReader
from deployopt.sources.tokenizer_files import TOKENIZER, open_tokenizer
from deployopt.store.writing import atomic_write_bytes

TASK: Final = "questions"
Scores = list[tuple[int | None, list[float]]]
"""A choice and its likelihoods, a question."""


def main() -> int:
    """Compare, and say how far both agree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--most", type=int, default=None)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    bundle = open_bundle(asked.bundle)
    questions = read_choice_lines(asked.questions)[: asked.most]
    ours, theirs = own_scores(bundle, questions), harness_scores(bundle, questions)
    found = compared(questions, ours, theirs)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    if asked.json is not None:
        atomic_write_bytes(asked.json, json.dumps(found).encode())
    return int(found["answers_that_differ"] != 0)


def compared(
    questions: Sequence[AskedQuestion], ours: Scores, theirs: Scores
) -> dict[str, float | int]:
    """How far both are apart; differences of sums of log-likelihoods, in nats."""
    pairs = [
        abs(a - b)
        for (_, one), (_, other) in zip(ours, theirs, strict=True)
        for a, b in zip(one, other, strict=True)
    ]

    def right(scores: Scores) -> float:
        return sum(
            chosen == question.answer
            for question, (chosen, _) in zip(questions, scores, strict=True)
        ) / len(questions)

    return {
        "questions": len(questions),
        "choices": len(pairs),
        "answers_that_differ": sum(
            one[0] != other[0] for one, other in zip(ours, theirs, strict=True)
        ),
        "right": right(ours),
        "right_by_harness": right(theirs),
        "largest_difference_nats": max(pairs),
    }


def own_scores(bundle: OpenBundle, questions: Sequence[AskedQuestion]) -> Scores:
    """As a build's gate and `verify` score them."""
    setup = bundle.setup_on(describe_machine())
    model = setup.model.parent
    decoder = open_decoder(setup, stops=False)
    longest = decoder.config.model.context_length
    reader = QuestionReader(Path("questions"), open_tokenizer(model / TOKENIZER), longest)
    read = [reader.read(question) for question in questions]
    chooser = Chooser(decoder, read)
    found: Scores = []
    for question in read:
        likelihoods = chooser.likelihoods(question)
        found.append((choice_of(likelihoods, question), list(likelihoods)))
    return found


def harness_scores(bundle: OpenBundle, questions: Sequence[AskedQuestion]) -> Scores:
    """As lm-evaluation-harness scores them, reading the bundle's model folder itself."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    import lm_eval

    model = (bundle.folder / bundle.manifest.model).parent
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "questions.jsonl"
        rows = (
            {"prompt": one.prompt, "choices": list(one.choices), "answer": one.answer}
            for one in questions
        )
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
        os.environ["HF_DATASETS_CACHE"] = folder
        results: Any = lm_eval.simple_evaluate(
            model="onnxruntime-genai",
            model_args={"pretrained": str(model), "execution_provider": "cpu"},
            tasks=[_task(path)],
            log_samples=True,
            bootstrap_iters=0,
        )
    samples = sorted(results["samples"][TASK], key=lambda sample: sample["doc_id"])
    found: Scores = []
    for question, sample in zip(questions, samples, strict=True):
        likelihoods = [float(one[0][0]) for one in sample["resps"]]
        rates = [
            x / len(choice.encode())
            for x, choice in zip(likelihoods, question.choices, strict=True)
        ]
        chosen = rates.index(max(rates))
        # The harness keeps whether it was right; the choice itself follows from its likelihoods.
        if sample["acc_bytes"] != float(chosen == question.answer):
            raise SystemExit("The harness's own acc_bytes is not what its likelihoods say.")
        found.append((chosen, likelihoods))
    return found


def _task(path: Path) -> dict[str, Any]:
    return {
        "task": TASK,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{prompt}}",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "target_delimiter": " ",
        "metric_list": [
            {"metric": name, "aggregation": "mean", "higher_is_better": True}
            for name in ("acc_norm", "acc_bytes")
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
