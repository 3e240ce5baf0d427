"""A language model's bundle with a gate split, whose reference is the model's own arithmetic."""

from pathlib import Path

import msgspec
import numpy as np

from deployopt.core.artifact import Precision, SessionOptions
from deployopt.core.budget import Budget
from deployopt.core.bundle import Lineage, Manifest, Origin
from deployopt.core.choices import ChoiceQuestion, choice_of, encode_questions
from deployopt.core.codec import decode_toml, encode_pretty
from deployopt.core.interface import Interface, PromptInputs, Task
from deployopt.core.samples import encode_samples
from deployopt.core.scores import Scored, encode_scored
from deployopt.core.target import Target
from deployopt.core.verdict import Outcome, Verdict
from deployopt.store.digests import entries_digest, file_entry
from deployopt.store.publishing import publish_bundle
from tests.fakes.decoders import CONTEXT, VOCABULARY, TinyDecoder
from tests.fakes.targets import target_toml

DOCUMENTS = 32
ASKED = 32
TIMED = 12
BUDGETS = (
    Budget(metric="nll_increase", limit=0.02),
    Budget(metric="agreement", limit=0.9),
    Budget(metric="decode_tps_min", limit=1.0),
    Budget(metric="ttft_p50", limit=10.0),
    Budget(metric="memory_peak", limit=2.0**33),
    Budget(metric="artifact_size", limit=2.0**20),
)
ACCURACY = Budget(metric="accuracy_drop", limit=0.1)


def make_judged_bundle(
    bundle: Path,
    *,
    model: TinyDecoder | None = None,
    reference: TinyDecoder | None = None,
    without: str | None = None,
    timed_length: int = 10,
    questions: int = 0,
    artifact: str = "d" * 64,
    seed: int = 5,
) -> Path:
    """Published at `bundle`; `reference` is another model where the two are to differ.

    `seed` draws the texts.

    With `questions` accuracy has a budget of 10 points; the reference has three of four right.
    """
    made = bundle.with_name(f"{bundle.name}-made")
    made.mkdir(parents=True)
    model = model or TinyDecoder()
    folder = model.save(made / "model").parent
    lot = np.random.default_rng(seed)

    def texts(count: int, length: int) -> list[list[int]]:
        return [lot.integers(0, VOCABULARY, length).tolist() for _ in range(count)]

    documents, asked, timed = texts(DOCUMENTS, 60), texts(ASKED, 8), texts(TIMED, timed_length)
    target = decode_toml(target_toml("here").encode(), Target, where="test")
    verdict = Verdict(
        target=target.name,
        artifact=artifact,
        outcome=Outcome.ACCEPTED,
        provisional=False,
        checks=(),
    )
    origin = Origin(asked="tiny", resolved="tiny")
    records = {
        "target.json": encode_pretty(target),
        "budgets.json": encode_pretty((*BUDGETS, *([ACCURACY] if questions else []))),
        "verdict.json": encode_pretty(verdict),
        "lineage.json": encode_pretty(Lineage(model=origin, data=origin, recipe="float")),
        "gate/examples.npz": _feeds(documents),
        "gate/prompts.npz": _feeds(asked),
        "gate/timed.npz": _feeds(timed),
    }
    said = _scored(reference or model, documents, asked)
    if questions:
        drawn = draw_questions(reference or model, questions)
        records["gate/choices.npz"] = encode_questions(drawn)
        likelihoods = tuple(choice_likelihoods(reference or model, one) for one in drawn)
        said = msgspec.structs.replace(said, choices=likelihoods)
    records["gate/reference.npz"] = encode_scored(said)
    records.pop(without or "", None)
    for number, data in enumerate(records.values()):
        (made / str(number)).write_bytes(data)
    files = {f"model/{path.name}": path for path in folder.iterdir()}
    deployed = tuple(sorted(files))
    files |= {name: made / str(number) for number, name in enumerate(records)}
    entries = tuple(file_entry(path, name) for name, path in sorted(files.items()))
    manifest = Manifest(
        name="tiny-here",
        made_with="test",
        target=target.name,
        outcome="accepted",
        artifact=artifact,
        model="model/genai_config.json",
        runtime="onnxruntime-genai",
        opset=0,
        precision=Precision.FP32,
        session=SessionOptions(),
        threads=1,
        interface=Interface(
            task=Task.TEXT_GENERATION,
            inputs=PromptInputs(context=CONTEXT, chat=False),
            outputs=("logits",),
        ),
        labels_sha256="0" * 64,
        bundle_digest=entries_digest(entries),
        deployed=deployed,
        files=entries,
    )
    publish_bundle(files, manifest, bundle)
    return bundle


def choice_likelihoods(twin: TinyDecoder, question: ChoiceQuestion) -> tuple[float, ...]:
    """By numpy."""
    before = twin.nll(question.prompt)
    return tuple(before - twin.nll([*question.prompt, *choice]) for choice in question.choices)


def draw_questions(twin: TinyDecoder, count: int) -> list[ChoiceQuestion]:
    """Of four choices; what the twin chooses is right but in every fourth."""
    lot = np.random.default_rng(17)
    found = []
    for number in range(count):
        prompt, *choices = (
            tuple(lot.integers(0, VOCABULARY, length).tolist()) for length in (12, 3, 4, 3, 2)
        )
        sizes = tuple(4 * len(choice) for choice in choices)
        asked = ChoiceQuestion(prompt=prompt, choices=tuple(choices), sizes=sizes, answer=0)
        chosen = choice_of(choice_likelihoods(twin, asked), asked) or 0
        answer = chosen if number % 4 else (chosen + 1) % 4
        found.append(msgspec.structs.replace(asked, answer=answer))
    return found


def _feeds(texts: list[list[int]]) -> bytes:
    return encode_samples([{"input_ids": np.asarray([one], dtype=np.int64)} for one in texts])


def _scored(twin: TinyDecoder, documents: list[list[int]], asked: list[list[int]]) -> Scored:
    return Scored(
        nll=tuple(twin.nll(one) for one in documents),
        counts=tuple(len(one) - 1 for one in documents),
        chosen=tuple(tuple(twin.answer(one, 16, without=None)) for one in asked),
    )
