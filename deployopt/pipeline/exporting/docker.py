"""A bundle as the folder that `docker build` makes an image of: it answers over HTTP.

In: a request for an accepted or provisional bundle. Out: a Dockerfile, the bundle, the versions
that it was measured with. Refuses a bundle for a GPU, and a wheel that is not this deployopt's.
"""

import hashlib
import re
import shlex
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deployopt.core.bundle import FileEntry
from deployopt.core.errors import UsageError
from deployopt.core.exporting import Exported, ExportRequest
from deployopt.core.quiet import OPENVINO_VERSIONS
from deployopt.core.version import VERSION
from deployopt.pipeline.exporting.docker_words import (
    BUNDLE,
    CONSTRAINTS,
    KEY,
    PORT,
    README,
    SUMS,
    Image,
    dockerfile,
    dockerignore,
    readme,
)
from deployopt.pipeline.exporting.served import Served, open_served
from deployopt.store.digests import file_entry
from deployopt.store.handing import hand_over_folder, require_nothing_at
from deployopt.store.paths import MANIFEST, SEAL, SIGNATURE, SIGNATURE_FILES
from deployopt.store.store import Store

_WHEEL: Final = f"deployopt-{VERSION}-py3-none-any.whl"
_METADATA: Final = f"deployopt-{VERSION}.dist-info/METADATA"
_VERSION: Final = re.compile(r"[0-9][0-9A-Za-z.]{0,39}")
_MEASURED: Final = ("numpy", "onnxruntime", "tokenizers")
_PLATFORMS: Final = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
_RUNTIMES: Final = ("onnxruntime", "openvino")


def export_docker(request: ExportRequest, store: Store) -> Exported:  # noqa: ARG001 -- a form's call
    """Write the folder.

    Raises:
        UsageError: not a bundle that can be served so, a wrong wheel, or something at the output.
        IntegrityError: the bundle is not the one that was built, or the key does not vouch for it.
        StorageError: there is no room.
    """
    require_nothing_at(request.output)
    served = open_served(request)
    manifest, target = served.bundle.manifest, served.bundle.target
    if target.runtime.provider != "cpu" or manifest.runtime not in _RUNTIMES:
        raise UsageError(
            f"{request.source} is for {manifest.runtime} on {target.runtime.provider}, and the "
            "image is one for CPUs. `deployopt export BUNDLE OUT --as triton` writes it for a "
            "server with GPUs."
        )
    image = Image(
        served=served,
        requirements=_requirements(served, request),
        pins=_pins(served),
        platform=_PLATFORMS[target.hardware.arch],
        wheel=None if request.wheel is None else _checked_wheel(request.wheel),
        signed=request.key is not None,
    )
    copies = _copies(served, request)
    texts = {
        "Dockerfile": dockerfile(image),
        ".dockerignore": dockerignore(image),
        CONSTRAINTS: "".join(f"{pin}\n" for pin in image.pins),
        README: readme(image),
    }
    entries = [file_entry(path, name) for name, path in copies.items()]
    digests = _digests(served, entries)
    texts[SUMS] = _sums(texts, digests)
    files = hand_over_folder(copies, texts, request.output, digests=digests)
    where = shlex.quote(str(request.output))
    return Exported(
        model=f"{manifest.name}, {served.word} on {manifest.target}",
        precision=manifest.precision,
        files=files,
        settings={"threads": manifest.threads, "port": PORT, "platform": image.platform},
        evidence=tuple(served.evidence()),
        start=f"docker build --tag {image.tag} {where}",
        todo=_todo(image),
        warnings=served.warnings,
    )


def _requirements(served: Served, request: ExportRequest) -> tuple[str, ...]:
    """What pip is asked for."""
    extras = ["serve", *(["sign"] if request.key is not None else [])]
    name = f"deployopt[{','.join(extras)}]=={VERSION}"
    if request.wheel is not None:
        name = f"/tmp/install/{_WHEEL}[{','.join(extras)}]"  # noqa: S108 -- in the image
    manifest = served.bundle.manifest
    openvino = (f"openvino{OPENVINO_VERSIONS}",) if manifest.runtime == "openvino" else ()
    return (name, *openvino)


def _pins(served: Served) -> tuple[str, ...]:
    """The versions that measured it."""
    machine = served.machine
    if machine is None:
        return ()
    names = (*_MEASURED, *(("openvino",) if served.bundle.manifest.runtime == "openvino" else ()))
    found = {name: machine.packages.get(name, "").partition("+")[0] for name in names}
    return tuple(f"{name}=={have}" for name, have in found.items() if _VERSION.fullmatch(have))


def _checked_wheel(path: Path) -> str:
    """Its name; raises UsageError unless it is of this very version."""
    problem = None
    if not path.is_file():
        problem = "is no file"
    elif path.name != _WHEEL:
        problem = f"is not called {_WHEEL}"
    elif not zipfile.is_zipfile(path) or not _holds_metadata(path):
        problem = f"is no wheel of deployopt {VERSION}"
    if problem is None:
        return _WHEEL
    raise UsageError(
        f"--wheel {path} {problem}. The image needs the deployopt that writes it; `python -m build "
        "--wheel` in its checkout makes one in dist/."
    )


def _holds_metadata(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return _METADATA in archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return False


def _copies(served: Served, request: ExportRequest) -> dict[str, Path]:
    """The bundle, whole, as its digests and signature are of all of it."""
    bundle = served.bundle
    names = [entry.path for entry in bundle.manifest.files] + [MANIFEST, SEAL]
    if (bundle.folder / SIGNATURE).is_dir():
        names += [f"{SIGNATURE}/{name}" for name in SIGNATURE_FILES]
    copies = {f"{BUNDLE}/{name}": bundle.folder / name for name in names}
    if request.key is not None:
        copies[KEY] = request.key
    if request.wheel is not None:
        copies[_WHEEL] = request.wheel
    return copies


def _digests(served: Served, entries: list[FileEntry]) -> Mapping[str, str]:
    """As the bundle's own manifest says, where it says something."""
    said = {f"{BUNDLE}/{entry.path}": entry.sha256 for entry in served.bundle.manifest.files}
    return {entry.path: said.get(entry.path, entry.sha256) for entry in entries}


def _sums(texts: Mapping[str, str], digests: Mapping[str, str]) -> str:
    every = dict(digests)
    every |= {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    return "".join(f"{every[name]}  {name}\n" for name in sorted(every))


def _todo(image: Image) -> tuple[str, ...]:
    base = (
        "The base image is pinned by its version; its digest could not be asked for here. Pin it: "
        "docker build --build-arg BASE=python@sha256:..."
    )
    if image.wheel is not None:
        return (base,)
    index = (
        f"The image installs deployopt {VERSION} from the index that pip uses. Where no index has "
        "it, write the folder again with --wheel FILE."
    )
    return (base, index)
