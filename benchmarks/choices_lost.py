"""How many answers do forms of a language model lose, on questions with choices?

    python -m benchmarks.choices_lost questions.jsonl --model demo-chat FOLDER ... [--json FILE]

A folder is a bundle's `model`, or any that onnxruntime-genai opens. The reference answers by torch
in float32, each form in its own runtime, on one thread and the same token ids; the loss has the
bounds that the gate goes by. Questions are taken in an order that their contents decide, in parts,
so that a run that is stopped has said something of those before.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.choices import ChoiceQuestion, choice_of
from deployopt.core.paired import loss_bounds
from deployopt.core.source import SourceModel
from deployopt.device.generating.choosing import Chooser
from deployopt.device.generating.config import CONFIG
from deployopt.device.generating.decoder import open_decoder
from deployopt.device.setup import Setup
from deployopt.sources.choice_lines import read_choice_lines
from deployopt.sources.choices import QuestionReader
from deployopt.sources.models import resolve_model
from deployopt.sources.tokenizer_files import TOKENIZER, open_tokenizer
from deployopt.steps.score_reference import score_reference
from deployopt.store.store import Store
from deployopt.store.writing import atomic_write_bytes

PART: Final = 32
Choices = list[int | None]


class Answered(msgspec.Struct):
    """So far: what the reference chose, and each form."""

    questions: list[ChoiceQuestion]
    reference: Choices
    forms: dict[str, Choices]

    def told(self) -> dict[str, object]:
        """Shares in per cent, losses in points with one-sided 95 % bounds."""
        right = [q.answer == c for q, c in zip(self.questions, self.reference, strict=True)]
        found: dict[str, object] = {
            "questions": len(right),
            "reference_right": 100 * sum(right) / len(right),
        }
        for name, choices in self.forms.items():
            own = [q.answer == c for q, c in zip(self.questions, choices, strict=True)]
            pairs = list(zip(right, own, strict=True))
            lost, gained = pairs.count((True, False)), pairs.count((False, True))
            bounds = loss_bounds(lost, gained, len(pairs))
            found[name] = {
                "right": 100 * sum(own) / len(own),
                "other_choice": 100
                * sum(a != b for a, b in zip(self.reference, choices, strict=True))
                / len(own),
                "lost": lost,
                "gained": gained,
                "loss_points": [100 * x for x in (bounds.estimate, bounds.lower, bounds.upper)],
            }
        return found


def main() -> None:
    """Answer part after part, and say what was found so far."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("questions", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--model", required=True)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with Store(asked.store) as store:
        source = resolve_model(asked.model, store=store)
        questions = read(asked.questions, source)
        for found in answered(source, questions, asked.folders):
            text = json.dumps(found.told(), indent=2)
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
            if asked.json is not None:
                atomic_write_bytes(asked.json, text.encode())


def read(path: Path, source: SourceModel) -> list[ChoiceQuestion]:
    """As token ids, in an order that their contents decide."""
    lines = sorted(
        read_choice_lines(path), key=lambda one: hashlib.sha256(one.prompt.encode()).digest()
    )
    tokenizer = open_tokenizer(source.artifact.folder / TOKENIZER)
    reader = QuestionReader(path, tokenizer, 2048)
    return [reader.read(one) for one in lines]


def answered(
    source: SourceModel, questions: Sequence[ChoiceQuestion], folders: Sequence[Path]
) -> Iterator[Answered]:
    """After each part."""
    decoders = {
        str(folder): open_decoder(
            Setup(
                artifact="",
                model=folder.absolute() / CONFIG,
                threads=1,
                runtime="onnxruntime-genai",
            ),
            stops=False,
        )
        for folder in folders
    }
    choosers = {name: Chooser(decoder, questions[:PART]) for name, decoder in decoders.items()}
    found = Answered(questions=[], reference=[], forms={name: [] for name in choosers})
    for start in range(0, len(questions), PART):
        part = questions[start : start + PART]
        scored = score_reference(source, [], [], 1, lambda *_: None, questions=part)
        found.questions += part
        found.reference += [choice_of(one, q) for one, q in zip(scored.choices, part, strict=True)]
        for name, chooser in choosers.items():
            found.forms[name] += [choice_of(chooser.likelihoods(one), one) for one in part]
        yield found


if __name__ == "__main__":
    main()
