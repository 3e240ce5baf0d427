"""The good files that mutants are made of, and how each kind is mutated."""

import functools
import io
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from tests.fakes.bundles import manifest_of
from tests.fakes.model_folder import sentences, text_config
from tests.hostile.mutating import Chance, chance, mutate_bytes, mutate_json, mutate_lines
from tests.hostile.subjects import ASSETS, Case

TARGETS: Final = Path(__file__).parents[2] / "targets"
_ROWS: Final = 12
_SIDE: Final = 20
Mutate = Callable[[bytes, Chance], bytes]


def mutant(kind: str, number: int) -> Case:
    """The mutant of this number: always the same."""
    lot = chance(kind, number)
    bases = bases_of(kind)
    base = bases[lot.randrange(len(bases))]
    ways = _ways(Path(base.name).suffix)
    return Case(base.name, ways[lot.randrange(len(ways))](base.data, lot))


@functools.cache
def bases_of(kind: str) -> tuple[Case, ...]:
    """The good files of a kind."""
    return tuple(Case(name.partition("#")[0], data) for name, data in _BASES[kind]().items())


def _ways(suffix: str) -> tuple[Mutate, ...]:
    if suffix == ".onnx":
        from tests.hostile.mutating_onnx import mutate_model

        return mutate_model, mutate_model, mutate_bytes
    return {
        ".toml": (mutate_lines, mutate_lines, mutate_bytes),
        ".json": (mutate_json, mutate_json, mutate_bytes),
    }.get(suffix, (mutate_bytes,))


def _graphs() -> dict[str, bytes]:
    from tests.hostile.graphs import graphs

    assets = {f"{n}.onnx": (ASSETS / f"{n}.onnx").read_bytes() for n in ("text", "image")}
    return assets | graphs()


def _manifests() -> dict[str, bytes]:
    from deployopt.core.codec import encode_pretty

    model = ASSETS / "text.onnx"
    manifest = manifest_of({"model.onnx": model, "tokenizer.json": ASSETS / "tokenizer.json"})
    return {"manifest.json": encode_pretty(manifest)}


def _targets() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(TARGETS.glob("*.toml"))}


def _data() -> dict[str, bytes]:
    rows = sentences(_ROWS)
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    table = "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows)
    return {
        "a.csv": table.encode(),
        "a.tsv": table.replace(",", "\t").encode(),
        "a.jsonl": "\n".join(lines).encode(),
        "list.json": f"[{','.join(lines)}]".encode(),
        "a.parquet": _parquet(rows),
        "a.npz": _arrays(),
        "a.npy": _array(),
        **{f"a.{name}": _image(name) for name in ("png", "jpg", "bmp", "webp")},
    }


def _parquet(rows: list[tuple[str, int]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts, labels = zip(*rows, strict=True)
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": list(texts), "label": list(labels)}), buffer)
    return buffer.getvalue()


def _arrays() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, x=np.arange(60, dtype=np.float32).reshape(5, 12), labels=np.arange(5)
    )
    return buffer.getvalue()


def _array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(60, dtype=np.int64).reshape(5, 12))
    return buffer.getvalue()


def _image(name: str) -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE + 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, {"jpg": "JPEG"}.get(name, name.upper()))
    return buffer.getvalue()


def _tokenizers() -> dict[str, bytes]:
    from tests.fakes.model_folder import SPECIAL, WORDS
    from tests.hostile.tokenizers_of import tokenizers

    words = "\n".join((*SPECIAL, *WORDS)) + "\n"
    return {
        "config.json": json.dumps(text_config()).encode(),
        "tokenizer_config.json": json.dumps(
            {"do_lower_case": True, "model_max_length": 48, "pad_token": {"content": "[PAD]"}}
        ).encode(),
        "vocab.txt": words.encode(),
    } | tokenizers()


def _ggufs() -> dict[str, bytes]:
    from tests.fakes.gguf_files import TEXT, UINT32, gguf, key, small, tensor, text

    listed = struct.pack("<IQ", TEXT, 2) + text("a") + text("b")
    keys = [
        key("general.architecture", TEXT, text("llama")),
        key("general.alignment", UINT32, struct.pack("<I", 64)),
        key("general.license", TEXT, text("apache-2.0")),
        key("llama.rope.freq_base", 6, struct.pack("<f", 1e4)),
        key("tokenizer.ggml.tokens", 9, listed),
    ]
    tensors = [tensor("a", (32, 2)), tensor("b", (64,), kind=3, offset=256)]
    return {"model.gguf": gguf(keys, tensors, b"\0" * 512), "model.gguf#small": small()}


def _decoders() -> dict[str, bytes]:
    from tests.fakes.decoders import TinyDecoder, config

    with TemporaryDirectory() as folder:
        TinyDecoder().save(Path(folder))
        graph = (Path(folder) / "model.onnx").read_bytes()
    return {"genai_config.json": json.dumps(config()).encode(), "model.onnx#header": graph}


_BASES: Final[Mapping[str, Callable[[], dict[str, bytes]]]] = {
    "onnx": _graphs,
    "manifest": _manifests,
    "target": _targets,
    "data": _data,
    "tokenizer": _tokenizers,
    "gguf": _ggufs,
    "decoder": _decoders,
}
