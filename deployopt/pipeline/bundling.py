"""A judged candidate becomes a bundle: the files, their digests, the manifest, published at once.

What is hashed into the bundle's digest holds no time and no measurement: the same build gives the
same digest on any day. Measurements, verdict and report lie beside it in the same folder.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.answer_settings import SettingTrial
from deployopt.core.artifact import Artifact, Format, runtime_on
from deployopt.core.bundle import EngineNote, FileEntry, Lineage, Manifest
from deployopt.core.card import CardNote
from deployopt.core.codec import decode_json, encode_json, encode_pretty
from deployopt.core.drawing import UNET
from deployopt.core.engine import ASKED_FILE, GRAPH_FILE, LISTING_FILE, EngineListing
from deployopt.core.evidence import Estimate
from deployopt.core.experience import Foreseen
from deployopt.core.interface import DrawingInputs, PairInputs, TextInputs
from deployopt.core.measurement import AccuracyTrial, Trial
from deployopt.core.result import BuildResult
from deployopt.core.scores import ScoreTrial
from deployopt.core.source import SourceModel
from deployopt.core.verdict import Verdict
from deployopt.core.version import VERSION
from deployopt.device.onnx_header import read_onnx_header
from deployopt.pipeline.ground import Ground
from deployopt.pipeline.making import Made
from deployopt.pipeline.provenance import provenance
from deployopt.reports.html import build_page
from deployopt.reports.markdown import build_markdown
from deployopt.store.digests import DigestMemo, entries_digest
from deployopt.store.publishing import publish_bundle
from deployopt.store.writing import make_folders, write_new_file

_LABELS: Final = "labels.json"
_SOURCE: Final = "source"


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What was judged, and everything that the judgement rests on."""

    made: Made
    verdict: Verdict
    predictions: Mapping[str, Estimate]
    foreseen: Foreseen | None
    asked: Mapping[str, Path]
    """What the gate asked, by the name that it has in the bundle's folder `gate`."""
    reference: bytes
    """What the reference answered to it, as its npz file."""
    quality: tuple[AccuracyTrial, ...] | tuple[ScoreTrial, ...]
    """All that was asked of any candidate, the gate's first."""
    latency: tuple[Trial, ...]
    settings: tuple[SettingTrial, ...] = ()
    """Of a language model, by length of prompt and by batch."""
    card: CardNote | None = None
    """Of a graph for a card."""


def deployed_files(artifact: Artifact, source: SourceModel) -> dict[str, Path]:
    """What the device needs to answer: path in the bundle to file."""
    beside = set(source_files(artifact).values())
    files = {
        f"model/{path.relative_to(artifact.folder).as_posix()}": path
        for path in sorted(artifact.folder.rglob("*"))
        if path.is_file() and path not in beside
    }
    inputs = source.interface.inputs
    if isinstance(inputs, PairInputs):
        inputs = inputs.text
    if isinstance(inputs, TextInputs | DrawingInputs):
        files[inputs.tokenizer] = source.artifact.folder / inputs.tokenizer
    return files


def source_files(artifact: Artifact) -> dict[str, Path]:
    """What is carried and not deployed: an engine's graph, and one that was asked in its place."""
    graphs = (GRAPH_FILE, ASKED_FILE) if artifact.format is Format.ENGINE else (ASKED_FILE,)
    names = [name for graph in graphs for name in (graph, f"{graph}.data")]
    found = ((name, artifact.folder / name) for name in names)
    return {f"{_SOURCE}/{name}": path for name, path in found if path.is_file()}


def lineage_of(prepared: Ground, made: Made) -> Lineage:
    """How the artifact came to be."""
    synthetic, choices = prepared.dataset.synthetic, prepared.choices
    asked = {} if choices is None else choices.splits
    return Lineage(
        model=prepared.source.origin,
        data=None if synthetic else prepared.dataset.origin,
        questions=None if choices is None else choices.origin,
        splits={str(split): file.digest for split, file in prepared.dataset.splits.items()}
        | {f"questions/{split}": file.digest for split, file in asked.items()},
        recipe=made.recipe.name,
        steps=tuple(step.lineage for step in made.steps),
    )


def lasting_files(prepared: Ground, judged: Judged) -> tuple[dict[str, Path], dict[str, bytes]]:
    """The part of a bundle that the same build gives again: files to copy, and files to write."""
    artifact = judged.made.artifact
    copied = deployed_files(artifact, prepared.source) | source_files(artifact)
    copied |= {f"gate/{name}": path for name, path in judged.asked.items()}
    written = {
        _LABELS: encode_pretty(list(prepared.source.interface.labels)),
        "target.json": encode_pretty(prepared.request.target),
        "budgets.json": encode_pretty(prepared.budgets),
        "gate/reference.npz": judged.reference,
        "lineage.json": encode_pretty(lineage_of(prepared, judged.made)),
        "provenance.json": encode_pretty(provenance_of(prepared, judged.made)),
    }
    if judged.foreseen is not None:
        written["forecast.json"] = encode_pretty(judged.foreseen)
    return copied, written


def bundle_digest(copied: Mapping[str, Path], written: Mapping[str, bytes]) -> str:
    """Over everything that the same build gives again."""
    memo = DigestMemo()
    entries = [_copied_entry(name, path, memo) for name, path in copied.items()]
    return entries_digest([*entries, *(_written_entry(n, d) for n, d in written.items())])


def publish(prepared: Ground, judged: Judged, result: BuildResult, destination: Path) -> None:
    """Put the bundle at `destination`, all of it or nothing.

    Raises:
        UsageError: something else than a bundle is there.
        StorageError: the disk failed.
    """
    copied, lasting = lasting_files(prepared, judged)
    written = lasting | {
        "measurements/latency.json": encode_json(judged.latency) + b"\n",
        "measurements/accuracy.json": encode_pretty(judged.quality),
        # What experience has corrected is not the same on another day.
        "predictions.json": encode_pretty(dict(judged.predictions)),
        "verdict.json": encode_pretty(judged.verdict),
        "result.json": encode_pretty(result),
        "report.html": bundle_page(prepared, judged, result),
        "report.md": build_markdown(result).encode(),
    }
    if judged.settings:
        written["measurements/settings.json"] = encode_json(judged.settings) + b"\n"
    memo = DigestMemo()
    entries = [_copied_entry(name, path, memo) for name, path in copied.items()]
    entries += [_written_entry(name, data) for name, data in written.items()]
    manifest = _manifest(prepared, judged, entries, bundle_digest(copied, lasting))
    with prepared.bench.store.stage() as folder:
        for name, data in written.items():
            make_folders((folder / name).parent)
            write_new_file(folder / name, data)
        publish_bundle(
            dict(copied) | {name: folder / name for name in written}, manifest, destination
        )


def bundle_page(prepared: Ground, judged: Judged, result: BuildResult) -> bytes:
    """The HTML report of a build."""
    lineage = lineage_of(prepared, judged.made)
    return build_page(result, lineage, made_with=f"deployopt {VERSION}")


def provenance_of(prepared: Ground, made: Made) -> dict[str, object]:
    """What was asked for, and what came of what."""
    request = prepared.request
    asked: dict[str, object] = {
        "model": request.model,
        "target": request.target.name,
        "budgets": {budget.metric: budget.limit for budget in prepared.budgets},
        "seed": request.seed,
    }
    memo = prepared.bench.store.memo
    shipped = deployed_files(made.artifact, prepared.source)
    entries = [_copied_entry(name, path, memo) for name, path in shipped.items()]
    return provenance(asked, lineage_of(prepared, made), entries)


def _manifest(prepared: Ground, judged: Judged, entries: list[FileEntry], digest: str) -> Manifest:
    artifact = judged.made.artifact
    labels = next(entry.sha256 for entry in entries if entry.path == _LABELS)
    return Manifest(
        name=f"{prepared.source.name}-{prepared.request.target.name}",
        made_with=f"deployopt {VERSION}",
        target=prepared.request.target.name,
        outcome=judged.verdict.word,
        artifact=artifact.digest,
        model=f"model/{artifact.entry}",
        runtime=runtime_on(prepared.request.target.runtime.provider, artifact),
        opset=_opset(artifact),
        precision=artifact.precision,
        session=artifact.session,
        engine=_engine(artifact, entries),
        card=msgspec.UNSET if judged.card is None else judged.card,
        threads=prepared.request.target.runtime.threads,
        interface=prepared.source.interface,
        labels_sha256=labels,
        bundle_digest=digest,
        deployed=tuple(sorted(deployed_files(artifact, prepared.source))),
        files=tuple(sorted(entries, key=lambda entry: entry.path)),
    )


def _engine(artifact: Artifact, entries: list[FileEntry]) -> EngineNote | msgspec.UnsetType:
    if artifact.format is not Format.ENGINE:
        return msgspec.UNSET
    path = artifact.folder / LISTING_FILE
    listing = decode_json(path.read_bytes(), EngineListing, where=str(path))
    model = f"model/{artifact.entry}"
    return EngineNote(
        builder=listing.builder,
        version=listing.version,
        compute_capability=listing.options.compute_capability,
        platform=listing.options.platform,
        sha256=next(entry.sha256 for entry in entries if entry.path == model),
    )


def _opset(artifact: Artifact) -> int:
    if artifact.format is Format.DRAWING:
        return read_onnx_header(artifact.folder / UNET).opsets[""]
    return read_onnx_header(artifact.path).opsets[""] if artifact.format is Format.ONNX else 0


def _copied_entry(name: str, path: Path, memo: DigestMemo) -> FileEntry:
    return FileEntry(path=name, size_bytes=path.stat().st_size, sha256=memo.sha256(path))


def _written_entry(name: str, data: bytes) -> FileEntry:
    return FileEntry(path=name, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
