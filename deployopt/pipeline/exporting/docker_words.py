"""The texts of an image's folder: Dockerfile, .dockerignore, README.

In: what the image is made of. Out: text. What a bundle brings is written into them as plain
characters only, so that it can neither end a quotation nor be taken for a variable.
"""

import json
import re
import shlex
import textwrap
from typing import Final

import msgspec

from deployopt.core.text import safe_text
from deployopt.core.version import VERSION
from deployopt.pipeline.exporting.served import Served

BUNDLE: Final = "bundle"
CONSTRAINTS: Final = "constraints.txt"
KEY: Final = "key.pub"
README: Final = "README.md"
SUMS: Final = "SHA256SUMS"
PORT: Final = 8000
BASE: Final = "python:3.13.7-slim-trixie"
_USER: Final = 10001
_WIDTH: Final = 80
_ODD: Final = re.compile(r"[^A-Za-z0-9 ._,:/()@=+<>-]")
_NO_TAG: Final = re.compile(r"[^a-z0-9._-]+")
_HEALTH: Final = (
    f"import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}/health', timeout=3)"
)


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """What the folder says."""

    served: Served
    requirements: tuple[str, ...]
    pins: tuple[str, ...]
    platform: str
    wheel: str | None
    signed: bool
    """Whether a key has to vouch for the bundle each time that the server starts."""

    @property
    def tag(self) -> str:
        """The image's name."""
        name = _NO_TAG.sub("-", self.served.bundle.manifest.name.lower()).strip("-._")
        return name[:100] or "bundle"

    @property
    def command(self) -> list[str]:
        """What the image runs."""
        key = ["--key", f"/srv/{KEY}"] if self.signed else []
        where = ["--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104 -- inside the image
        return ["deployopt", "serve", f"/srv/{BUNDLE}", *where, *key]


def dockerfile(image: Image) -> str:
    """The Dockerfile."""
    served = image.served
    manifest = served.bundle.manifest
    comments = [
        f"deployopt {VERSION} wrote this for the bundle {manifest.bundle_digest},",
        f"{manifest.name}: {served.word} for {manifest.target}.",
        *served.warnings,
        f"Measured on: {served.measured_on()}",
        *served.evidence(),
        "No Docker has built this where it was written. The base is pinned by its version: its",
        "digest could not be asked for there.",
    ]
    installed = [CONSTRAINTS, *([image.wheel] if image.wheel else [])]
    key = [f"COPY {KEY} /srv/{KEY}"] if image.signed else []
    wanted = " ".join(shlex.quote(item) for item in image.requirements)
    lines = [
        *(f"# {_plain(line)}" for line in comments),
        f"ARG BASE={BASE}",
        "FROM ${BASE}",
        "",
        " \\\n      ".join(f'LABEL {k}="{v}"' if not at else f'{k}="{v}"' for at, (k, v)
                           in enumerate(_labels(image).items())),
        "",
        "ENV PYTHONUNBUFFERED=1 \\",
        "    PYTHONDONTWRITEBYTECODE=1 \\",
        "    ORT_DISABLE_TELEMETRY=1",
        "",
        f"COPY {' '.join(installed)} /tmp/install/",
        f"RUN pip install --no-cache-dir --constraint /tmp/install/{CONSTRAINTS} \\",
        f"      {wanted} \\",
        "    && rm -r /tmp/install \\",
        f"    && groupadd --system --gid {_USER} deployopt \\",
        f"    && useradd --system --no-log-init --no-create-home --uid {_USER} --gid {_USER} \\",
        "      --shell /usr/sbin/nologin deployopt",
        "",
        *key,
        f"COPY {BUNDLE} /srv/{BUNDLE}",
        "",
        f"USER {_USER}:{_USER}",
        f"EXPOSE {PORT}",
        "STOPSIGNAL SIGTERM",
        "# Answers only once every digest of the bundle was verified and the model is open.",
        "HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \\",
        f"  CMD {json.dumps(['python', '-c', _HEALTH])}",
        f"CMD {json.dumps(image.command)}",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def dockerignore(image: Image) -> str:
    """Only what the Dockerfile copies."""
    kept = [BUNDLE, CONSTRAINTS, *([image.wheel] if image.wheel else [])]
    kept += [KEY] if image.signed else []
    return "*\n" + "".join(f"!{name}\n" for name in kept)


def readme(image: Image) -> str:
    """The page."""
    served = image.served
    manifest = served.bundle.manifest
    run = f"docker run --rm --read-only --tmpfs /tmp --cpus={manifest.threads} -p {PORT}:{PORT}"
    base = (
        "No Docker has built this where it was written, so the first build is a test. The base is "
        f"`{BASE}`, pinned by its version; its digest could not be asked for. `--build-arg "
        "BASE=python@sha256:...` pins it."
    )
    threads = (
        f"It runs on {manifest.threads} threads, as it was measured, so it is given as many CPUs."
    )
    whole = (
        "The bundle is copied whole, with the examples that it was judged by: its digests are of "
        "all of it, and the server compares every byte before it answers"
    )
    lines = [
        f"# An image that answers with {_plain(manifest.name)}",
        "",
        f"Bundle `{manifest.bundle_digest}`",
        "",
        f"    docker build --platform {image.platform} --tag {image.tag} .",
        f"    {run} {image.tag}",
        f"    curl localhost:{PORT}/health",
        *_ask(image),
        "",
        base,
        "",
        f"{threads} One process, one answer at a time; more load needs more containers.",
        "",
        whole + (", and the signature with the key." if image.signed else "."),
        "",
        "## What was measured",
        "",
        f"The bundle was {served.word} for {manifest.target}. The server's HTTP comes on top.",
        "",
        *(line for text in served.warnings for line in (text, "")),
        f"- on {served.measured_on()}",
        *(f"- {safe_text(line, 200)}" for line in served.evidence()),
        *(f"- with {pin}" for pin in image.pins),
        "",
        f"`sha256sum -c {SUMS}` compares every file here with what was written.",
        "",
    ]
    return "\n".join(
        line
        if line.startswith(("    ", "#", "`")) or len(line) <= _WIDTH
        else textwrap.fill(line, _WIDTH, subsequent_indent="  " if line[:2] == "- " else "")
        for line in lines
    )


def _ask(image: Image) -> list[str]:
    kind = type(image.served.bundle.manifest.interface.inputs).__name__
    where = f"localhost:{PORT}/predict"
    if kind == "TextInputs":
        return [f'    curl {where} --json \'{{"inputs": ["a warm, funny film"]}}\'']
    if kind == "ImageInputs":
        return [f"    curl {where} -H 'Content-Type: image/jpeg' --data-binary @photo.jpg"]
    return []


def _labels(image: Image) -> dict[str, str]:
    """OCI's own names, and two of ours."""
    manifest = image.served.bundle.manifest
    said = f"{manifest.name}, {image.served.word} for {manifest.target}, {manifest.precision}"
    return {
        "org.opencontainers.image.title": _plain(manifest.name),
        "org.opencontainers.image.description": _plain(said),
        "org.opencontainers.image.version": manifest.bundle_digest[:12],
        "org.opencontainers.image.base.name": f"docker.io/library/{BASE}",
        "deployopt.bundle.digest": manifest.bundle_digest,
        "deployopt.bundle.outcome": image.served.word,
    }


def _plain(text: str) -> str:
    return _ODD.sub("-", safe_text(text, 200).replace("≤", "<=").replace("≥", ">="))
