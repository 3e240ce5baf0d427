"""A tiny bundle with all that signing reads, keys, and the bundle signed."""

import json
import subprocess
from pathlib import Path

from msgspec.structs import replace

from deployopt.core.bundle import FileEntry, Lineage, LineageStep, Origin
from deployopt.core.codec import decode_toml, encode_pretty
from deployopt.core.evidence import Evidence
from deployopt.core.target import Target
from deployopt.core.verdict import Check, Outcome, Verdict
from deployopt.store.publishing import publish_bundle
from tests.fakes.bundles import manifest_of
from tests.fakes.targets import target_toml

TARGET = target_toml("x86-cpu")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILE = FileEntry(path="model.safetensors", size_bytes=7, sha256="a" * 64)
LINEAGE = Lineage(
    model=Origin(
        asked="distilbert", resolved=f"hub:org/name@{COMMIT}", licence="Apache-2.0", files=(FILE,)
    ),
    data=Origin(asked="texts.csv", resolved="file texts.csv", licence="see the authors"),
    splits={"gate": "b" * 64},
    recipe="int8",
    steps=(
        LineageStep(
            step="export",
            version=1,
            options='{"opset":17}',
            tools={"torch": "2.13.0+cpu"},
            source="c" * 64,
            result="d" * 64,
        ),
    ),
)
VERDICT = Verdict(
    target="x86-cpu",
    artifact="0" * 64,
    outcome=Outcome.ACCEPTED,
    provisional=False,
    checks=(
        Check(
            metric="accuracy_drop",
            limit=0.01,
            outcome=Outcome.ACCEPTED,
            evidence=Evidence.TARGET,
            observed=0.001,
            upper=0.008,
            reason="the whole bound is inside",
        ),
    ),
)


def tiny_bundle(folder: Path, model: bytes = b"a model", digest: str = "1" * 64) -> Path:
    """A published bundle at `folder/bundle`; its manifest says that its digest is `digest`."""
    contents = {
        "model/model.onnx": model,
        "labels.json": b"[]\n",
        "lineage.json": encode_pretty(LINEAGE),
        "target.json": encode_pretty(decode_toml(TARGET.encode(), Target, where="test")),
        "verdict.json": encode_pretty(VERDICT),
    }
    sources = folder / "sources"
    sources.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, data in contents.items():
        files[name] = sources / name.replace("/", "+")
        files[name].write_bytes(data)
    manifest = manifest_of(files)
    model_name = "model/model.onnx"
    manifest = replace(manifest, model=model_name, deployed=(model_name,), bundle_digest=digest)
    publish_bundle(files, manifest, folder / "bundle")
    return folder / "bundle"


def openssl_key(path: Path, *words: str) -> Path:
    """A private key as another tool makes it."""
    subprocess.run(["openssl", *words, "-out", path], check=True, capture_output=True)
    return path


def edit_json(path: Path, **changes: object) -> None:
    """Change fields of a JSON file at its top level."""
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))
