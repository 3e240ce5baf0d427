"""The reference's scores are those of a plain pass over the whole document."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.errors import StepError
from deployopt.core.interface import Task
from deployopt.core.source import SourceModel
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.chat import WORDS, write_tiny_llama

pytestmark = pytest.mark.torch


def feed(length: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {"input_ids": random.integers(3, WORDS, (1, length))}


def silent(done: float, what: str) -> None:
    assert 0 <= done <= 1
    assert what.startswith("reference: ")


def test_nll_and_answers_are_those_of_the_plain_model(tmp_path: Path) -> None:
    import torch

    from deployopt.modeling.language.scoring import score
    from deployopt.modeling.loading import load_model

    folder = write_tiny_llama(tmp_path / "m")
    documents, prompts = [feed(300), feed(24, 1)], [feed(10, 2), feed(64, 3), feed(10, 4)]
    found = score(folder, documents, prompts, answer=12, progress=silent)
    assert found.counts == (299, 23)
    model = load_model(folder, Task.TEXT_GENERATION)
    with torch.inference_mode():
        for document, nll in zip(documents, found.nll, strict=True):
            ids = torch.from_numpy(document["input_ids"])
            logits = model(ids).logits[0, :-1].log_softmax(-1)
            plain = -logits.gather(1, ids[0, 1:, None]).sum()
            assert nll == pytest.approx(float(plain), rel=1e-5)
        for prompt, answer in zip(prompts, found.chosen, strict=True):
            ids = torch.from_numpy(prompt["input_ids"])
            whole = model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12
            )
            assert answer == tuple(whole[0, ids.shape[1] :].tolist())


def test_an_answer_ends_with_its_end_token(tmp_path: Path) -> None:
    from deployopt.modeling.language.scoring import score

    folder = write_tiny_llama(tmp_path / "m")
    (first,) = score(folder, [], [feed(10)], answer=8).chosen
    (folder / "generation_config.json").write_text(f'{{"eos_token_id": [2, {first[2]}]}}')
    ended, other = score(folder, [], [feed(10), feed(10, 1)], answer=8).chosen
    assert len(other) == 8 or other[-1] in (2, first[2])
    assert ended == first[: first.index(first[2]) + 1]


def test_numbers_that_are_not_finite_are_an_error(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    from deployopt.modeling.language.scoring import score

    folder = write_tiny_llama(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][:] = np.inf
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StepError, match="not finite"):
        score(folder, [feed(30)], [])


def test_the_step_scores_a_source(tmp_path: Path) -> None:
    from deployopt.modeling.language.scoring import score
    from deployopt.steps.score_reference import score_reference

    with Store(tmp_path / "store") as store:
        source: SourceModel = resolve_model(str(write_tiny_llama(tmp_path / "m")), store=store)
        found = score_reference(source, [feed(40)], [feed(10)], 1, silent)
        assert len(found.chosen[0]) <= 64
        assert msgspec.structs.asdict(found) == msgspec.structs.asdict(
            score(source.artifact.folder, [feed(40)], [feed(10)])
        )
