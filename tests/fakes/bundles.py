"""A small bundle's manifest, for what publishes and reads bundles without building one."""

from pathlib import Path

from deployopt.core.artifact import Precision, SessionOptions
from deployopt.core.bundle import Manifest
from deployopt.core.interface import ArrayInputs, Interface, Task
from deployopt.store.digests import file_entry


def manifest_of(files: dict[str, Path]) -> Manifest:
    """Of these files, by their paths in the bundle; the first is the model."""
    entries = tuple(file_entry(path, name) for name, path in sorted(files.items()))
    return Manifest(
        name="sample",
        made_with="deployopt",
        target="x86-cpu",
        outcome="accepted",
        artifact="0" * 64,
        model=entries[0].path,
        opset=21,
        precision=Precision.FP32,
        session=SessionOptions(),
        threads=1,
        interface=Interface(task=Task.ANY, inputs=ArrayInputs(inputs=()), outputs=()),
        labels_sha256="0" * 64,
        bundle_digest="0" * 64,
        deployed=(entries[0].path,),
        files=entries,
    )
