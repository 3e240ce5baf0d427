"""The bill of materials of a bundle: a CycloneDX ML-BOM, through cyclonedx-python-lib.

In: what a bundle says of itself. Out: JSON after CycloneDX 1.6: the model with its card, what it
was made from (the original model and the data, with every file's sha256 and the licence where
known), the files that ship, the packages that run it, the tools that made it. The same bundle and
release give the same bytes: no time, and a serial number that follows from the bundle's digest.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, uuid5

import msgspec

from deployopt.core.bundle import FileEntry, Lineage, Manifest, Origin
from deployopt.core.interface import (
    DrawingInputs,
    ImageInputs,
    Interface,
    PairInputs,
    PromptInputs,
    TextInputs,
)
from deployopt.core.requirements import requirements
from deployopt.core.signature import Release
from deployopt.core.target import Target
from deployopt.core.text import safe_text
from deployopt.core.verdict import Check, Verdict
from deployopt.core.version import VERSION
from deployopt.signing.keys import missing
from deployopt.store.digests import entries_digest

if TYPE_CHECKING:
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import License
    from packageurl import PackageURL

_MODEL: Final = "model"
_DATA: Final = "data"
_NAMES: Final = ("msgspec", "numpy", "psutil", "tokenizers")
_HUB: Final = re.compile(r"hub:(?P<org>[^/@]+)/(?P<name>[^/@]+)@(?P<commit>[0-9a-f]{40})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN: Final = 500
_FILES_MAX: Final = 1000
"""Of a larger data set one digest stands for all files."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that the bill rests on; read from the bundle."""

    manifest: Manifest
    release: Release
    lineage: Lineage
    target: Target
    verdict: Verdict


def bill_of_materials(facts: Facts) -> bytes:
    """The ML-BOM.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    try:
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError as error:
        raise missing("A bill of materials") from error
    plain = json.loads(JsonV1Dot6(_bom(facts)).output_as_string())
    # The library has no words for a model's card, and always writes a time.
    del plain["metadata"]["timestamp"]
    plain["metadata"]["component"]["modelCard"] = _card(facts)
    return (json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _bom(facts: Facts) -> "Bom":
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository

    manifest, lineage = facts.manifest, facts.lineage
    model = Component(
        name=manifest.name,
        version=str(facts.release.release_seq),
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=_MODEL,
        licenses=_licences(lineage.model),
        properties=_properties(
            artifact=manifest.artifact,
            bundle_digest=manifest.bundle_digest,
            outcome=manifest.outcome,
            precision=manifest.precision.value,
            recipe=lineage.recipe,
            target=manifest.target,
        ),
        components=_files(_MODEL, (f for f in manifest.files if f.path in manifest.deployed)),
    )
    made_from = [_origin(lineage.model, "origin", ComponentType.MACHINE_LEARNING_MODEL)]
    if lineage.data is not None:
        made_from.append(_origin(lineage.data, _DATA, ComponentType.DATA, lineage.splits))
    if lineage.questions is not None:
        made_from.append(_origin(lineage.questions, "questions", ComponentType.DATA))
    packages = list(_packages(facts))
    described = BomMetaData(
        component=model, tools=ToolRepository(components=_tools(lineage)), timestamp=_EPOCH
    )
    bom = Bom(
        serial_number=uuid5(
            NAMESPACE_URL, f"deployopt:{manifest.bundle_digest}:{facts.release.release_seq}"
        ),
        metadata=described,
        components=[*made_from, *packages],
    )
    bom.register_dependency(model, [*made_from, *packages])
    return bom


def _origin(
    origin: Origin, ref: str, kind: "ComponentType", splits: dict[str, str] | None = None
) -> "Component":
    from cyclonedx.model.component import Component

    named = {f"split:{name}": digest for name, digest in sorted((splits or {}).items())}
    many = len(origin.files) > _FILES_MAX
    if many:
        named |= {"files": str(len(origin.files)), "files_digest": entries_digest(origin.files)}
    return Component(
        name=safe_text(origin.asked, _SHOWN),
        version=safe_text(origin.resolved, _SHOWN),
        type=kind,
        bom_ref=ref,
        purl=_hub_package(origin.resolved),
        licenses=_licences(origin),
        properties=_properties(**named),
        components=_files(ref, () if many else origin.files),
    )


def _files(ref: str, files: Iterable[FileEntry]) -> "Iterator[Component]":
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    for file in files:
        yield Component(
            name=safe_text(file.path, _SHOWN),
            type=ComponentType.FILE,
            bom_ref=f"{ref}/{file.path}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
            properties=_properties(size_bytes=str(file.size_bytes)),
        )


def _packages(facts: Facts) -> "Iterator[Component]":
    """What has to be installed on the device, and in which versions."""
    from cyclonedx.model.component import Component, ComponentType

    runtime = facts.manifest.runtime
    wanted = dict(_small_install())
    wanted[runtime] = facts.target.runtime.versions if runtime == "onnxruntime" else ""
    if not isinstance(facts.manifest.interface.inputs, TextInputs | PairInputs | DrawingInputs):
        wanted.pop("tokenizers", None)
    for name, versions in sorted(wanted.items()):
        yield Component(
            name=name,
            type=ComponentType.LIBRARY,
            bom_ref=f"package/{name}",
            purl=_package(name, None),
            properties=_properties(versions=versions),
        )


def _small_install() -> Iterator[tuple[str, str]]:
    """Name and versions of what the device path imports, as this package declares them."""
    found = requirements()
    for name in _NAMES:
        yield name, " or ".join(one.versions for one in found if one.name == name)


def _tools(lineage: Lineage) -> "Iterator[Component]":
    """What ran on the machine that built."""
    from cyclonedx.model.component import Component, ComponentType

    used = {tool for step in lineage.steps for tool in step.tools.items()}
    for name, version in sorted(used | {("deployopt", VERSION)}):
        yield Component(
            name=safe_text(name, _SHOWN),
            version=safe_text(version, _SHOWN),
            type=ComponentType.APPLICATION if name == "deployopt" else ComponentType.LIBRARY,
            bom_ref=f"tool/{name}@{version}",
            purl=_package(name, version),
        )


def _licences(origin: Origin) -> "list[License]":
    """An SPDX name or expression where it is one, the words that were found where not."""
    from cyclonedx.contrib.license.factories import LicenseFactory

    if not origin.licence:
        return []
    return [LicenseFactory().make_from_string(safe_text(origin.licence, _SHOWN))]


def _properties(**named: str) -> "list[Property]":
    from cyclonedx.model import Property

    return [
        Property(name=f"deployopt:{name}", value=safe_text(value, _SHOWN))
        for name, value in named.items()
        if value
    ]


def _package(name: str, version: str | None) -> "PackageURL":
    from packageurl import PackageURL

    return PackageURL(type="pypi", name=name, version=version)


def _hub_package(resolved: str) -> "PackageURL | None":
    from packageurl import PackageURL

    found = _HUB.fullmatch(resolved)
    if found is None:
        return None
    return PackageURL("huggingface", found["org"], found["name"], found["commit"])


def _card(facts: Facts) -> dict[str, object]:
    """What the model answers, from what, and how well."""
    interface = facts.manifest.interface
    parameters: dict[str, object] = {
        "task": interface.task.value,
        "inputs": [{"format": _input_words(interface)}],
        "outputs": [{"format": safe_text(name, _SHOWN)} for name in interface.outputs],
    }
    if facts.lineage.data is not None:
        parameters["datasets"] = [{"ref": _DATA}]
    metrics = [_metric(check) for check in facts.verdict.checks if check.observed is not None]
    analysis = {"quantitativeAnalysis": {"performanceMetrics": metrics}} if metrics else {}
    return {"modelParameters": parameters, **analysis}


def _metric(check: Check) -> dict[str, object]:
    bounds = (("lowerBound", check.lower), ("upperBound", check.upper))
    interval = {name: repr(value) for name, value in bounds if value is not None}
    evidence = "none" if check.evidence is None else check.evidence.value
    return {
        "type": check.metric,
        "value": repr(check.observed),
        "slice": evidence,
        **({"confidenceInterval": interval} if interval else {}),
    }


def _input_words(interface: Interface) -> str:
    inputs = interface.inputs
    if isinstance(inputs, TextInputs):
        return f"text, at most {inputs.max_length} tokens"
    if isinstance(inputs, ImageInputs):
        return f"image, {inputs.channels}x{inputs.height}x{inputs.width}"
    if isinstance(inputs, PairInputs):
        size = f"{inputs.image.channels}x{inputs.image.height}x{inputs.image.width}"
        return f"image, {size}, and text, at most {inputs.text.max_length} tokens"
    if isinstance(inputs, PromptInputs):
        return f"text, prompt and answer together at most {inputs.context} tokens"
    if isinstance(inputs, DrawingInputs):
        width, height = inputs.width * inputs.pixels, inputs.height * inputs.pixels
        return f"text, at most {inputs.length} tokens, drawn in {width}x{height} pixels"
    return ", ".join(
        f"{safe_text(one.name, 80)} {one.dtype}{list(one.shape)}" for one in inputs.inputs
    )
