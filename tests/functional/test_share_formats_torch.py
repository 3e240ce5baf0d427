"""Every format that may be shared passes what is asked of it, made by the real steps."""

from pathlib import Path

import pytest

from deployopt import api
from deployopt.core.recipe import Recipe
from deployopt.core.result import BuildResult
from deployopt.device import ring
from deployopt.pipeline.language import sweeping, trying
from deployopt.pipeline.making import Workbench, make
from deployopt.sources.models import resolve_model
from deployopt.steps.export import Export
from deployopt.steps.prune import Prune
from deployopt.store.share import open_share
from deployopt.store.store import Store
from tests.fakes.chat import sentences, write_tiny_llama
from tests.fakes.models import write_target
from tests.functional.conftest import Invoke
from tests.functional.test_share import made, told

pytest.importorskip("fsspec")
pytestmark = [pytest.mark.slow]


@pytest.fixture
def share(tmp_path: Path) -> str:
    (tmp_path / "share").mkdir()
    return str(tmp_path / "share")


def steps_made(result: BuildResult) -> list[str]:
    return [step.name for one in result.candidates for step in one.steps if not step.reused]


@pytest.mark.torch
def test_language_models(tmp_path: Path, share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is timed decides nothing here.
    monkeypatch.setattr(trying, "ROUND_S", dict.fromkeys(ring.ROUND_S, 0.02))
    monkeypatch.setattr(trying, "WALL_S", dict.fromkeys(ring.ROUND_S, 1.0))
    monkeypatch.setattr(sweeping, "SECONDS", dict.fromkeys(sweeping.SECONDS, 5.0))
    write_tiny_llama(tmp_path / "model")
    write_target(tmp_path / "here.toml", opset_max="21")
    (tmp_path / "text.txt").write_text("\n\n".join(sentences(60)))
    first, second = (
        api.build(
            model=str(tmp_path / "model"),
            target=str(tmp_path / "here.toml"),
            data=str(tmp_path / "text.txt"),
            budgets={"nll_increase": "50 %"},
            output=tmp_path / name / "b",
            store=tmp_path / name / "store",
            share=share,
        )
        for name in ("one", "other")
    )
    assert len(steps_made(first)) >= 2
    assert steps_made(second) == []
    assert not [text for text in second.warnings if "refused" in text or "share" in text]
    assert first.bundle_digest == second.bundle_digest


@pytest.mark.openvino
def test_openvino(
    invoke: Invoke, tmp_path: Path, here: Path, mlp: Path, arrays: Path, share: str
) -> None:
    target = tmp_path / "both.toml"
    both = '[runtime]\nruntimes = ["onnxruntime", "openvino"]\n'
    target.write_text(here.read_text("utf-8").replace("[runtime]\n", both))
    first, second = (
        invoke(
            "build", "-t", target, "-m", mlp, "-d", arrays, "-o", tmp_path / name / "b",
            "--store", tmp_path / name / "store", "--share", share, "--json",
        )
        for name in ("one", "other")
    )  # fmt: skip
    assert {"convert-openvino", "quantize-openvino"} <= set(made(first))
    assert (made(second), told(second)) == ([], [])


@pytest.mark.torch
def test_smaller_shapes_and_their_graphs(tmp_path: Path, share: str, text_model: Path) -> None:
    steps = (Prune(ffn=0.5, importance="magnitude"), Export())
    found = []
    for name in ("one", "other"):
        said: list[str] = []
        with Store(tmp_path / name) as store:
            store.share = open_share(share, said.append)
            source = resolve_model(str(text_model), store=store)
            bench = Workbench(
                store=store, interface=source.interface, samples=None, samples_digest="",
                seed=0, threads=1,
            )  # fmt: skip
            recipe = Recipe(name="small", steps=steps)
            done = make(recipe, source.artifact, bench, lambda *_: None)
        found.append((done.artifact.digest, [step.reused for step in done.steps], said))
    assert found == [(found[0][0], [False, False], []), (found[0][0], [True, True], [])]
