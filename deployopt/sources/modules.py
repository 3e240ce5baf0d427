"""A `torch.nn.Module` from Python becomes an ONNX source at the door, checked against itself."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from deployopt.catalogue.data import SYNTHETIC
from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.bundle import Origin
from deployopt.core.errors import MissingExtraError, UsageError
from deployopt.core.interface import Interface
from deployopt.core.source import SourceModel
from deployopt.sources.onnx_file import check_labels
from deployopt.store.digests import folder_entries
from deployopt.store.keys import cache_key
from deployopt.store.store import Store

_FILE: Final = "model.onnx"


class GivenModule(msgspec.Struct, frozen=True, kw_only=True):
    """A module with what it is called with: tensors by name, or in the order of its forward.

    `labels` are the classes of its logits, where it classifies.
    """

    module: Any
    example_inputs: Mapping[str, Any] | Sequence[Any] | None
    labels: tuple[str, ...] = ()


def module_source(given: GivenModule, *, name: str, store: Store) -> SourceModel:
    """Export the module and take the graph as the reference.

    Raises:
        UsageError: it is no module, or has no example inputs.
        StepError: it does not export, or the graph says something else than the module.
    """
    try:
        from deployopt.graph.attaching import attach_weights
        from deployopt.graph.describing import describe_onnx
        from deployopt.modeling.exporting import ExportOptions
        from deployopt.modeling.modules import export_module, is_module
    except ImportError as error:
        raise MissingExtraError("A model from Python", "build") from error
    if not is_module(given.module):
        raise UsageError(
            f"The model is a {type(given.module).__name__}. Give a name, a path or a "
            "torch.nn.Module."
        )
    examples = _named(given)
    with store.stage() as folder:
        options = ExportOptions(attach=attach_weights)
        interface = _labelled(
            export_module(given.module, examples, folder / _FILE, options), given.labels
        )
        check_labels(interface, describe_onnx(folder / _FILE).outputs, f"The module {name}")
        entries = folder_entries(folder)
        key = cache_key({"source": "module", "files": [[e.path, e.sha256] for e in entries]})
        stored = store.lookup(key) or store.commit(folder, key)
    artifact = Artifact(
        format=Format.ONNX,
        folder=stored.folder,
        entry=_FILE,
        digest=stored.digest,
        precision=Precision.FP32,
    )
    kind = f"{type(given.module).__module__}.{type(given.module).__qualname__}"
    return SourceModel(
        name=name,
        artifact=artifact,
        interface=interface,
        origin=Origin(asked=name, resolved=f"module {kind}", files=stored.files),
        default_data=SYNTHETIC,
    )


def _named(given: GivenModule) -> dict[str, Any]:
    examples = given.example_inputs
    if not examples:
        raise UsageError(
            "A torch.nn.Module needs example_inputs: a tuple of tensors in the order of its "
            "forward, or a mapping of input name to tensor, the batch first."
        )
    if isinstance(examples, Mapping):
        return dict(examples)
    names = list(inspect.signature(given.module.forward).parameters)
    if len(names) < len(examples) or names[0] in {"args", "kwargs"}:
        names = [f"input_{index}" for index in range(len(examples))]
    return dict(zip(names, examples, strict=False))


def _labelled(interface: Interface, labels: tuple[str, ...]) -> Interface:
    return msgspec.structs.replace(interface, labels=labels)
