"""Train what `demo-sentiment` ships: a LoRA adapter and a head over all-MiniLM-L6-v2.

Usage: python tools/train_demo_sentiment.py WORKDIR [--train] [--measure-gate] [--write]

Fetches the public parts into WORKDIR. `--train` trains on the train split and says the accuracy on
the search split after each epoch. `--measure-gate` measures the gate split and the other domains,
once, through the assembled folder, and writes the card. `--write` puts the adapter and its card in
the place of the shipped ones. Needs deployopt[build]. Training takes ten minutes on two cores.
"""

import argparse
import hashlib
import math
import time
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from deployopt.sources import demo, demo_card, demo_weights

RECIPE: dict[str, float | int | str] = {
    "method": "LoRA on q, k, v, out, lin1, lin2, and a full head, merged when assembled",
    "rank": 24,
    "alpha": 48,
    "lora_dropout": 0.05,
    "epochs": 5,
    "batch": 32,
    "optimizer": "AdamW, weight decay 0.01, one-cycle cosine, 6 % warm-up",
    "peak_learning_rate": 6e-4,
    "loss": "cross-entropy with the soft label sigmoid(sharpness * mean rating)",
    "sharpness": 1.5,
    "max_tokens": 128,
    "seed": 20140514,
    "threads": 2,
}


def number(key: str) -> float:
    """A numeric option of the recipe."""
    return float(RECIPE[key])


def main() -> None:
    """Fetch, train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workdir", type=Path)
    for flag in ("--train", "--measure-gate", "--write"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=NUMBER")
    options = parser.parse_args()
    RECIPE.update({key: float(value) for key, value in (item.split("=") for item in options.set)})
    torch.set_num_threads(int(number("threads")))
    torch.manual_seed(int(number("seed")))
    options.workdir.mkdir(parents=True, exist_ok=True)
    minilm, archive = fetched(options.workdir)
    adapter = options.workdir / "adapter"
    adapter.mkdir(exist_ok=True)
    if options.train:
        save_file(train(minilm, archive), adapter / demo_card.ADAPTER_FILE)
    if options.measure_gate:
        write_card(minilm, archive, adapter, options.workdir)
    if options.write:
        demo_card.SHIPPED.mkdir(exist_ok=True)
        for name in (demo_card.ADAPTER_FILE, demo_card.CARD_FILE):
            (demo_card.SHIPPED / name).write_bytes((adapter / name).read_bytes())


def fetched(workdir: Path) -> tuple[Path, Path]:
    """The base weights' folder and the data archive, fetched unless they are there."""
    minilm, archive = workdir / "minilm", workdir / demo.DATA.file_name
    if not minilm.is_dir():
        demo.fetch_demo_weights(workdir)
    if not archive.is_file():
        demo.fetch_demo_data(workdir)
    return minilm, archive


def train(minilm: Path, archive: Path) -> dict[str, NDArray[np.float16]]:
    """Train on the train split alone and return the adapter's tensors."""
    examples = demo.read_demo_data(archive)
    splits = demo.demo_splits(examples)
    texts = [examples[at] for at in splits.indices["train"].tolist()]
    search = [examples[at] for at in splits.indices["search"].tolist()]
    tokens = encode(minilm, [example.text for example in texts])
    sharpness = number("sharpness")
    positive = torch.sigmoid(torch.tensor([sharpness * example.rating for example in texts]))
    model = adapted(minilm)
    epochs, size = int(number("epochs")), int(number("batch"))
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=number("peak_learning_rate"), weight_decay=0.01)
    total = epochs * math.ceil(len(tokens) / size)
    plan = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=number("peak_learning_rate"), total_steps=total + 1, pct_start=0.06
    )
    for epoch in range(epochs):
        start, sum_loss = time.perf_counter(), 0.0
        model.train()
        for rows in batches(tokens, size, seed=epoch):
            ids, mask = padded([tokens[row] for row in rows])
            logits = model(input_ids=ids, attention_mask=mask).logits
            share = positive[rows]
            targets = torch.stack([1 - share, share], dim=1)
            loss = torch.nn.functional.cross_entropy(logits, targets)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            plan.step()
            sum_loss += loss.item() * len(rows)
        right = correct(model, minilm, search)
        took = time.perf_counter() - start
        mean = sum_loss / len(tokens)
        print(
            f"epoch {epoch + 1}: loss {mean:.4f}, search {right.mean():.4f}, {took:.0f} s",
            flush=True,
        )
    return exported(model)


def adapted(minilm: Path) -> torch.nn.Module:
    """DistilBERT over the base weights with LoRA on its linear layers and a trainable head."""
    state = demo_weights.distilbert_tensors(load_file(minilm / "model.safetensors"))
    config = DistilBertConfig(**demo_weights.model_config(state))
    model = DistilBertForSequenceClassification(config)
    tensors = {name: torch.from_numpy(tensor) for name, tensor in state.items()}
    left = model.load_state_dict(tensors, strict=False)
    if left.unexpected_keys or any("classifier" not in name for name in left.missing_keys):
        raise SystemExit(f"the base weights do not fit: {left}")
    lora = LoraConfig(
        r=int(number("rank")),
        lora_alpha=int(number("alpha")),
        lora_dropout=number("lora_dropout"),
        target_modules=["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"],
        modules_to_save=["pre_classifier", "classifier"],
    )
    return get_peft_model(model, lora)


def exported(model: torch.nn.Module) -> dict[str, NDArray[np.float16]]:
    """The trained tensors in fp16, the LoRA scale folded into B."""
    scale = number("alpha") / number("rank")
    tensors: dict[str, NDArray[np.float16]] = {}
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        plain = name.removeprefix("base_model.model.").replace(".default", "")
        plain = plain.replace(".modules_to_save", "").replace("lora_A.weight", "lora_A")
        plain = plain.replace("lora_B.weight", "lora_B")
        value = weight.detach().numpy() * (scale if plain.endswith("lora_B") else 1.0)
        tensors[plain] = value.astype(np.float16)
    return tensors


def encode(minilm: Path, texts: list[str]) -> list[list[int]]:
    """Token ids of each text, as long as it is."""
    tokenizer = Tokenizer.from_file(str(minilm / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(int(number("max_tokens")))
    return [encoded.ids for encoded in tokenizer.encode_batch(texts)]


def batches(tokens: list[list[int]], size: int, seed: int) -> list[list[int]]:
    """Rows of like length together, in an order that the seed decides."""
    rng = np.random.default_rng(seed)
    lengths = np.array([len(ids) for ids in tokens]) + rng.uniform(-2, 2, len(tokens))
    ordered = np.argsort(lengths).tolist()
    made = [ordered[at : at + size] for at in range(0, len(ordered), size)]
    return [made[at] for at in rng.permutation(len(made)).tolist()]


def padded(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of one batch, padded to its longest."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return ids, mask


def correct(
    model: torch.nn.Module, minilm: Path, examples: list[demo.DemoText]
) -> NDArray[np.bool_]:
    """Which examples the model gets right."""
    tokens = encode(minilm, [example.text for example in examples])
    right = np.zeros(len(examples), dtype=np.bool_)
    model.eval()
    with torch.inference_mode():
        for rows in batches(tokens, 64, seed=0):
            ids, mask = padded([tokens[row] for row in rows])
            said = model(input_ids=ids, attention_mask=mask).logits.argmax(dim=1)
            right[rows] = said.numpy() == np.array([examples[row].label for row in rows])
    return right


def measured(right: NDArray[np.bool_]) -> demo_card.Measured:
    """Accuracy with Wilson's 95 % interval."""
    n, share, z = len(right), float(right.mean()), 1.959964
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    percents = [round(100 * value, 2) for value in (share, centre - half, centre + half)]
    return demo_card.Measured(
        accuracy_pct=percents[0], low_pct=percents[1], high_pct=percents[2], n=n
    )


def write_card(minilm: Path, archive: Path, adapter: Path, workdir: Path) -> None:
    """Measure the gate split and the other domains through the assembled folder; write the card."""
    examples = demo.read_demo_data(archive)
    splits = demo.demo_splits(examples)
    digest = hashlib.sha256((adapter / demo_card.ADAPTER_FILE).read_bytes()).hexdigest()
    nothing = demo_card.Measured(accuracy_pct=0.0, low_pct=0.0, high_pct=0.0, n=0)
    card = demo_card.DemoCard(
        format=1,
        model=demo.ALIAS,
        base=f"{demo.WEIGHTS.name}=={demo.WEIGHTS.version}, {demo.WEIGHTS.licence}",
        base_sha256=demo.WEIGHTS.sha256,
        data=f"{demo.DATA.name}=={demo.DATA.version} movie snippets, {demo.DATA.licence}; "
        "Hutto & Gilbert, ICWSM 2014",
        data_sha256=demo.DATA.sha256,
        adapter_sha256=digest,
        licence="Apache-2.0",
        labels=demo.LABELS,
        recipe=dict(RECIPE),
        versions={name: version(name) for name in ("torch", "transformers", "peft", "numpy")},
        split_salt=demo.SPLIT_SALT,
        split_sizes={name: len(rows) for name, rows in splits.indices.items()},
        split_sha256=dict(splits.digests),
        gate=nothing,
        shift={},
        notes="Trained on the train split alone, one recipe, one seed; the search split was watched"
        " after each epoch. The gate split was measured once, after training. The other domains "
        "were never trained on: they show how little the model carries over, to tweets above all.",
    )
    write_json(adapter / demo_card.CARD_FILE, card)
    folder = workdir / "assembled"
    folder.mkdir(exist_ok=True)
    demo_weights.assemble(minilm, adapter, folder)
    model = DistilBertForSequenceClassification.from_pretrained(folder)
    gate = [examples[at] for at in splits.indices["gate"].tolist()]
    shift = {
        name: measured(correct(model, minilm, demo.read_demo_data(archive, name)))
        for name in demo.DOMAINS
        if name != "movies"
    }
    card = msgspec.structs.replace(card, gate=measured(correct(model, minilm, gate)), shift=shift)
    write_json(adapter / demo_card.CARD_FILE, card)
    print(card.gate, card.shift)


def write_json(path: Path, card: demo_card.DemoCard) -> None:
    """Write a card, indented."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n")


if __name__ == "__main__":
    main()
