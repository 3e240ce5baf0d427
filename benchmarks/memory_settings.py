"""What a row's free text says of how a model was run or trained: "lora-ft nf4-dq no-ckpt 2xA100".

In: the columns setting, kind, seq, batch, note and source. Out: a `Way`. The words are in
data/memory_words.toml; those that are not there are kept in `unread`, so that a table in another
dialect shows what was passed over.
"""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from deployopt.core.memory import Method, Optimizer, Sharding

_WORDS: Final = Path(__file__).parent / "data" / "memory_words.toml"
_HALF: Final = 16.0
_GENERAL: Final = frozenset({"training", "train", "finetune", "fine-tune", "fine-tuning", "ft"})
# Ways to train that say little of memory: with adapters, or as little beside the model as those.
_ADAPTED: Final = frozenset(
    {"dpo", "orpo", "kto", "simpo", "ppo", "grpo", "rlhf", "peft", "adapter", "prefix", "ia3"}
    | {"ptuning", "p-tuning", "prefix-tuning", "prompt-tuning"}
)
_NOT_TRAINED: Final = ("infer", "overhead", "serv", "gener")
_UNSAID: Final = frozenset({"", "-", "n/a", "na", "short", "default", "none"})
_SPLIT: Final = re.compile(r"[\s,;()\[\]/:]+")
# Words that are written in several ways, made one.
_JOINED: Final = (
    (re.compile(r"\b(4|8|16)[\s-]bits?\b"), r"\1bit"),
    (re.compile(r"\bint([48])[-_]gptq\b"), r"gptq int\1"),
    (re.compile(r"\b(gptq|bnb|awq)[-._](?=int|nf|4|8|fp)"), r"\1 "),
    (re.compile(r"\b(nf4|fp4)[\s+_,-]*(dq|double[\s-]?quant\w*)\b"), r"\1-dq"),
    (
        re.compile(r"\b(no|without|w/o)[\s_-]*(grad\w*|act\w*)?[\s_-]*(ckpt|checkpoint\w*)"),
        "no-ckpt",
    ),
    (re.compile(r"\b(gradient|activation|grad|act)[\s_-]*(checkpoint\w*|ckpt)\b"), "ckpt"),
    (re.compile(r"\b(no|without)[\s_-]+flash\S*"), "no-flash"),
    (re.compile(r"\b8bit[\s_-]*(adamw?)\b"), r"8bit-\1"),
    (re.compile(r"\b(adamw?)[\s_-]*8bit\b"), r"8bit-\1"),
    (re.compile(r"\bzero[\s_-]?(?:stage)?[\s_-]?([123])\b"), r"zero\1"),
    (re.compile(r"\bfull[\s_-]*(ft|fine-?tun\w*|param\w*)\b"), "full"),
    (re.compile(r"\bkv[\s_-]?(?:cache)?[\s_-]?(int8|int4|fp8|8bit)\b"), r"kv-\1"),
    (re.compile(r"\b(\d{1,4})\s+gpus?\b"), r"\1gpus"),
    (re.compile(r"\blora[\s_+]*\(?emb\w*\)?"), "lora+emb"),
)
_DEVICES: Final = re.compile(r"^(\d{1,4})\s*x\s*([a-z].*)?$|^x(\d{1,4})$|^(\d{1,4})gpus?$")
_NAMED: Final = re.compile(r"^([a-z_]+)=?(\d+)$")
_NUMBERS: Final = {
    "r": "rank", "rank": "rank", "lora_r": "rank", "bs": "batch", "batch": "batch",
    "mbs": "batch", "mb": "batch", "gen": "generated", "seq": "tokens", "len": "tokens",
    "ctx": "tokens", "context": "tokens", "sl": "tokens",
}  # fmt: skip
_IMAGE: Final = re.compile(r"^(\d{2,5})x(\d{2,5})$")
_ATTENTION: Final = re.compile(r"\bq(_proj)?\s*,\s*(k(_proj)?\s*,\s*)?v(_proj)?\b|\bqk?v\b")
_ALL_LINEAR: Final = re.compile(r"\ball[ -]linear\b")
_TRANSFORMERS: Final = re.compile(r"\btransformers[\s=v<]*(\d+)\.(\d+)")
_LAST_SCORED: Final = (4, 45)
_GENERATED: Final = re.compile(r"(?:\+|generate[sd]? )\s*(\d+)")


class Way(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a row was measured; None where it does not say."""

    method: Method | None = None
    """None: the model was run, not trained."""
    overhead: bool = False
    """Nothing but the runtime was measured."""
    bits: float | None = None
    half: bool | None = None
    """Whether arithmetic is in 16 bits."""
    bfloat: bool = False
    """The 16 bits are bf16, which a model may be trained in whole."""
    gptq: bool = False
    """GPTQ or AWQ."""
    prepared: bool | None = None
    """Whether a quantized base is used as PEFT prepares it."""
    scored: bool = False
    """By Transformers before 4.45, which scores every token of a prompt."""
    cache_bytes: float | None = None
    optimizer: Optimizer | None = None
    checkpointing: bool | None = None
    flash: bool | None = None
    pure: bool | None = None
    paged: bool | None = None
    fused_backward: bool = False
    fused_loss: bool = False
    """Scores over the vocabulary never exist all at once in fp32."""
    compiled: bool = False
    """By torch.compile."""
    trained_tables: bool = False
    attention_only: bool | None = None
    rank: int | None = None
    devices: int = 1
    sharding: Sharding | None = None
    summed: bool = False
    """Over all devices, rather than of one."""
    card_gb: float | None = None
    tokens: int | None = None
    generated: int | None = None
    growing: bool = False
    """The setting speaks of a cache that grows by generation."""
    side: int | None = None
    """Pixels of an image's longer side."""
    batch: int = 1
    allocated: bool | None = None
    """Whether torch's allocations were measured rather than the device's use."""
    unread: tuple[str, ...] = ()


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a table, as it is written."""

    model: str
    params_b: str
    setting: str
    seq: str
    batch: str
    kind: str
    measured_gb: str
    unit: str
    source: str
    note: str = ""


class _Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bits: dict[str, float]
    methods: dict[str, Method]
    optimizers: dict[str, Optimizer]
    shardings: dict[str, Sharding]
    caches: dict[str, float]
    yes: dict[str, tuple[str, ...]]
    no: dict[str, tuple[str, ...]]
    cards: dict[str, float]
    silent: dict[str, frozenset[str]]


Found: TypeAlias = dict[str, object]


def read_way(row: Row) -> Way:
    """What the row says, its note and its source included.

    Raises:
        ValueError: `seq` or `batch` is neither empty nor a number nor a known word.
    """
    found: Found = {}
    silent = words().silent["words"]
    unread = [w for w in _split(row.setting) if not _read_word(w, found) and w not in silent]
    if found.get("gptq") and found.get("bits", _HALF) == _HALF:
        found["bits"] = words().bits["int4"]
    _read_kind(row.kind.strip().lower(), found)
    _read_length(row.seq.strip().lower(), found)
    if row.batch.strip().lower() not in _UNSAID:
        found["batch"] = int(float(row.batch))
    _read_note(row.note.lower(), found)
    _read_targets(f"{row.setting} {row.note}".lower(), found)
    around = f"{row.note} {row.source}".lower()
    _read_measure(around, found)
    _read_software(around, found)
    _read_source_card(row.source.lower(), found)
    return msgspec.convert({**found, "unread": tuple(unread)}, Way)


@cache
def words() -> _Words:
    """The vocabulary, read once."""
    return msgspec.convert(tomllib.loads(_WORDS.read_text("utf-8")), _Words)


def _split(text: str) -> list[str]:
    plain = text.lower()
    for pattern, replacement in _JOINED:
        plain = pattern.sub(replacement, plain)
    return [word for word in _SPLIT.split(plain) if word]


def _read_word(word: str, found: Found) -> bool:
    """Whether the word says something; it may say several things."""
    said = _said_by(word)
    wide = said.get("bits")
    if isinstance(wide, float):
        before = found.get("bits", wide)
        found["bits"] = min(wide, before) if isinstance(before, float) else wide
        if wide >= _HALF:
            found["half"] = wide == _HALF
    found.update({name: value for name, value in said.items() if name != "bits"})
    return bool(said) or _read_number(word, found)


def _said_by(word: str) -> Found:
    known = words()
    tables: dict[str, dict[str, object]] = {
        "bits": dict(known.bits),
        "method": dict(known.methods),
        "optimizer": dict(known.optimizers),
        "sharding": dict(known.shardings),
        "cache_bytes": dict(known.caches),
    }
    said = {name: table[word] for name, table in tables.items() if word in table}
    said |= {name: True for name, spelt in known.yes.items() if word in spelt}
    return said | {name: False for name, spelt in known.no.items() if word in spelt}


def _read_number(word: str, found: Found) -> bool:
    devices, named = _DEVICES.match(word), _NAMED.match(word)
    if devices:
        found["devices"] = int(devices[1] or devices[3] or devices[4])
        _read_card(devices[2] or "", found)
        return True
    if named and named[1] in _NUMBERS:
        found[_NUMBERS[named[1]]] = int(named[2])
        if named[1] == "gen":
            found["growing"] = True
        return True
    return _read_card(word, found)


def _read_card(word: str, found: Found) -> bool:
    plain = word.removeprefix("rtx").lstrip("-_")
    if plain not in words().cards:
        return False
    found["card_gb"] = words().cards[plain]
    return True


def _read_kind(kind: str, found: Found) -> None:
    if kind == "overhead":
        found["overhead"], found["allocated"] = True, False
    if kind.startswith(_NOT_TRAINED):
        found.pop("method", None)
    elif kind in _GENERAL:
        found.setdefault("method", Method.FULL)
    elif kind in _ADAPTED:
        found.setdefault("method", Method.LORA)
    elif kind in words().methods:
        found["method"] = words().methods[kind]


def _read_length(text: str, found: Found) -> None:
    """`2048`, `2k`, `6144+2048` or `1024x1024`."""
    if text in _UNSAID:
        return
    image = _IMAGE.match(text)
    if image:
        found["side"] = max(int(image[1]), int(image[2]))
        return
    prompt, _, generated = text.partition("+")
    thousands = 1024 if prompt.endswith("k") else 1
    found["tokens"] = round(float(prompt.removesuffix("k")) * thousands)
    if generated:
        found["generated"] = int(generated)


def _read_note(note: str, found: Found) -> None:
    rank = re.search(r"\br\s*=\s*(\d+)", note)
    if rank:
        found.setdefault("rank", int(rank[1]))
    generated = _GENERATED.search(note)
    if generated:
        found.setdefault("generated", int(generated[1]))
    if re.search(r"8-?bit lora", note):
        found["bits"], found["method"] = words().bits["int8"], Method.LORA


def _read_targets(text: str, found: Found) -> None:
    """Which matrices have adapters: the attention's alone, or all."""
    if _ATTENTION.search(text):
        found["attention_only"] = True
    if _ALL_LINEAR.search(text):
        found["attention_only"] = False


def _read_software(text: str, found: Found) -> None:
    """What is known of the trainer, and of Transformers by its version."""
    if any(re.search(rf"\b{word}\b", text) for word in words().yes["compiled"]):
        found["compiled"] = True
    version = _TRANSFORMERS.search(text)
    if version:
        found["scored"] = (int(version[1]), int(version[2])) < _LAST_SCORED
    for value, spelt in ((False, words().no["prepared"]), (True, words().yes["prepared"])):
        if any(re.search(rf"\b{re.escape(word)}\b", text) for word in spelt):
            found.setdefault("prepared", value)


def _read_source_card(source: str, found: Found) -> None:
    """The card that a source names, where the setting names none."""
    cards = [words().cards[word] for word in _split(source) if word in words().cards]
    if cards:
        found.setdefault("card_gb", cards[0])


def _read_measure(text: str, found: Found) -> None:
    for value, spelt in ((True, words().yes["allocated"]), (False, words().no["allocated"])):
        if any(re.search(rf"\b{re.escape(word)}", text) for word in spelt if word != "context"):
            found.setdefault("allocated", value)
