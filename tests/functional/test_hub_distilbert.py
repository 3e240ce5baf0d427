"""The alias distilbert at its true shape, from a hub on loopback to logits."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deployopt.catalogue.models import find_entry
from deployopt.core.examples import decode_examples
from deployopt.core.measurement import Split
from deployopt.sources.data import load_dataset
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.hub import FakeHub, the_hub
from tests.fakes.model_folder import SPECIAL, sentences, write_json

pytestmark = [pytest.mark.slow, pytest.mark.torch]
WORDS = 30_522


def write_distilbert(folder: Path) -> Path:
    """The published files' names, kinds and shapes; the weights are random."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(
        id2label={0: "NEGATIVE", 1: "POSITIVE"}, label2id={"NEGATIVE": 0, "POSITIVE": 1}
    )
    transformers.DistilBertForSequenceClassification(config).save_pretrained(folder)
    words = [*SPECIAL, *(f"w{at}" for at in range(10_000)), "n1", "n2", "x", *"0123456789"]
    words += [f"##{letter}" for letter in "x0123456789"]
    words += [f"[unused{at}]" for at in range(WORDS - len(words))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    write_json(folder / "tokenizer_config.json", {"model_max_length": 512, "do_lower_case": True})
    return folder


def write_sst2(folder: Path) -> Path:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    names = {"label": {"names": ["negative", "positive"], "_type": "ClassLabel"}}
    about = {b"huggingface": json.dumps({"info": {"features": names}}).encode()}
    (folder / "data").mkdir(parents=True)
    for seed, (split, count) in enumerate({"validation": 872, "train": 6_000}.items(), start=1):
        rows = sentences(count, seed)
        columns = {
            "idx": pa.array(range(count), pa.int32()),
            "sentence": [text for text, _ in rows],
            "label": pa.array([label for _, label in rows], pa.int64()),
        }
        table = pa.table(columns).replace_schema_metadata(about)
        pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with the_hub(monkeypatch) as running:
        repository = find_entry("distilbert").repository
        running.add(f"models/{repository}", write_distilbert(tmp_path / "model"))
        running.add("datasets/stanfordnlp/sst2", write_sst2(tmp_path / "sst2"))
        yield running


@pytest.mark.filterwarnings("ignore")
def test_from_the_alias_to_logits(hub: FakeHub, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer

    with Store(tmp_path / "store") as store:
        model = resolve_model("distilbert", store=store)
        data = load_dataset(None, model=model, store=store)
        assert {split.value: file.examples for split, file in data.splits.items()} == {
            "calibration": 300, "search": 1_000, "gate": 872,
        }  # fmt: skip
        assert model.artifact.path.parent.joinpath("model.safetensors").stat().st_size > 2.6e8
        folder = model.artifact.folder
        opened = transformers.DistilBertForSequenceClassification.from_pretrained(folder)
        opened.eval()
        reader = Tokenizer.from_file(str(folder / "tokenizer.json"))
        reference = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
        gate = decode_examples(data.splits[Split.GATE].path)
        for text in gate.inputs[:5]:
            ids = reader.encode(str(text)).ids
            assert ids == reference(str(text))["input_ids"]
            with torch.inference_mode():
                logits = opened(torch.tensor([ids])).logits.numpy()
            assert logits.shape == (1, len(model.interface.labels))
            assert np.isfinite(logits).all()
        assert hub.asked
