"""lm-evaluation-harness, reading a bundle by itself, chooses what deployopt chooses."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.choices_beside_harness import compared, harness_scores, own_scores
from deployopt.device.bundle_reader import open_bundle
from deployopt.sources.choice_lines import read_choice_lines
from tests.fakes.chat import sentences, write_tiny_llama
from tests.fakes.language_bundles import make_language_bundle

pytestmark = [
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of the harness's own packages
]


def test_every_answer_is_the_harness_s_own(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
    from deployopt.modeling.language.building import Wanted, build_decoder

    source, made = write_tiny_llama(tmp_path / "source"), tmp_path / "made"
    made.mkdir()
    build_decoder(source, made, Wanted(precision="fp32"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(source / name, made / name)
    bundle = open_bundle(make_language_bundle(made, tmp_path / "bundle"))
    texts = sentences(40)
    path = tmp_path / "q.jsonl"
    lines = (
        {
            "question": f"{text} {number}",
            "choices": [f"{texts[number - k][: 9 + 7 * k]} é{k}" for k in range(4)],
            "answer": number % 4,
        }
        for number, text in enumerate(texts)
    )
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    questions = read_choice_lines(path)
    found = compared(questions, own_scores(bundle, questions), harness_scores(bundle, questions))
    assert found["answers_that_differ"] == 0
    assert found["right"] == found["right_by_harness"]
    assert found["largest_difference_nats"] < 1e-3
