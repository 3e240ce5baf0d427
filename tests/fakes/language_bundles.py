"""A language model's bundle around a folder that onnxruntime-genai opens."""

from pathlib import Path

from deployopt.core.artifact import Precision, SessionOptions
from deployopt.core.budget import Budget
from deployopt.core.bundle import Lineage, Manifest, Origin
from deployopt.core.codec import decode_toml, encode_pretty
from deployopt.core.interface import Interface, PromptInputs, Task
from deployopt.core.target import Target
from deployopt.core.verdict import Outcome, Verdict
from deployopt.store.digests import entries_digest, file_entry
from deployopt.store.publishing import publish_bundle
from tests.fakes.targets import target_toml


def make_language_bundle(
    model: Path, bundle: Path, *, context: int = 512, chat: bool = True, threads: int = 1
) -> Path:
    """A real bundle, but that nothing was measured of it; the files lie beside it too."""
    made = bundle.with_name(f"{bundle.name}-made")
    made.mkdir(parents=True)
    target = decode_toml(target_toml("here").encode(), Target, where="test")
    verdict = Verdict(
        target=target.name,
        artifact="a" * 64,
        outcome=Outcome.ACCEPTED,
        provisional=False,
        checks=(),
    )
    origin = Origin(asked="talker", resolved="talker")
    records = {
        "target.json": encode_pretty(target),
        "budgets.json": encode_pretty((Budget(metric="artifact_size", limit=2.0**20),)),
        "verdict.json": encode_pretty(verdict),
        "lineage.json": encode_pretty(Lineage(model=origin, data=origin, recipe="float")),
    }
    for name, data in records.items():
        (made / name).write_bytes(data)
    files = {f"model/{path.name}": path for path in model.iterdir()}
    deployed = tuple(sorted(files))
    files |= {name: made / name for name in records}
    entries = tuple(file_entry(path, name) for name, path in sorted(files.items()))
    manifest = Manifest(
        name="talker-here",
        made_with="test",
        target=target.name,
        outcome="accepted",
        artifact="a" * 64,
        model="model/genai_config.json",
        runtime="onnxruntime-genai",
        opset=0,
        precision=Precision.FP32,
        session=SessionOptions(),
        threads=threads,
        interface=Interface(
            task=Task.TEXT_GENERATION,
            inputs=PromptInputs(context=context, chat=chat),
            outputs=("logits",),
        ),
        labels_sha256="0" * 64,
        bundle_digest=entries_digest(entries),
        deployed=deployed,
        files=entries,
    )
    publish_bundle(files, manifest, bundle)
    return bundle
