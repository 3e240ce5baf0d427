"""The README of a model repository: what is in it, how it is started and asked, what was measured.

In: what the files say. Out: Markdown.
"""

import textwrap
from collections.abc import Iterable
from typing import Final

from deployopt.core.interface import ImageInputs, TextInputs
from deployopt.core.text import safe_text
from deployopt.pipeline.exporting.triton_config import Repository

README: Final = "README.md"
SUMS: Final = "SHA256SUMS"
_WIDTH: Final = 80


def readme(told: Repository) -> str:
    """The page."""
    manifest = told.served.bundle.manifest
    meaning = (
        f"The bundle was {told.served.word} for {manifest.target}. Triton itself has not run this "
        "folder: the figures below are the model's, measured by deployopt, and Triton's queue, "
        "network and Python come on top of them."
    )
    lines = [
        f"# {safe_text(manifest.name, 80)} for Triton Inference Server",
        "",
        f"Bundle `{manifest.bundle_digest}`",
        "",
        meaning,
        "",
        *(line for text in told.served.warnings for line in (text, "")),
        *_models(told),
        "",
        *_start(told),
        "",
        *_ask(told),
        "",
        "## What was measured",
        "",
        f"- on {told.served.measured_on()}",
        *(f"- {safe_text(line, 200)}" for line in told.served.evidence()),
        "",
        "## What the settings come from",
        "",
        *(f"- {safe_text(line, 400)}" for line in told.batching.reasons),
        *_untold(told),
        "",
        f"`sha256sum -c {SUMS}` compares every file here with what was written.",
        "",
    ]
    return "\n".join(_wrapped(lines))


def _models(told: Repository) -> Iterable[str]:
    name = told.name
    inputs = told.served.bundle.manifest.interface.inputs
    yield "| model | does |"
    yield "|---|---|"
    if isinstance(inputs, TextInputs):
        yield f"| `{name}_text` | TEXT to the model's inputs |"
    if isinstance(inputs, ImageInputs):
        yield f"| `{name}_image` | IMAGE, uint8 pixels, to the model's input |"
    yield f"| `{name}` | the model, by {told.session.backend} |"
    if _whole(told):
        yield f"| `{name}_labels` | logits to LABEL and PROBABILITIES |"
        yield f"| `{name}_ensemble` | all three: this is what clients ask |"


def _whole(told: Repository) -> bool:
    interface = told.served.bundle.manifest.interface
    return bool(interface.labels) and isinstance(interface.inputs, TextInputs | ImageInputs)


def _start(told: Repository) -> Iterable[str]:
    yield "## To start it"
    yield ""
    if isinstance(told.served.bundle.manifest.interface.inputs, TextInputs):
        machine = told.served.machine
        version = "" if machine is None else machine.packages.get("tokenizers", "")
        pinned = f"tokenizers=={version}" if version else "tokenizers"
        yield (
            "Triton's own image has numpy and no tokenizers, which texts need. Make an image with "
            "it from the release of Triton that you use:"
        )
        yield ""
        yield "    FROM nvcr.io/nvidia/tritonserver:RELEASE-py3"
        yield f"    RUN pip install {pinned}"
        yield ""
    yield "Then, with this folder as the model repository:"
    yield ""
    yield "    tritonserver --model-repository=FOLDER"


def _ask(told: Repository) -> Iterable[str]:
    if not _whole(told):
        return
    image = isinstance(told.served.bundle.manifest.interface.inputs, ImageInputs)
    yield "## To ask it"
    yield ""
    if image:
        yield (
            f"`{told.name}_ensemble` takes IMAGE, decoded: uint8 `[batch, height, width, "
            "channels]` of any size, and gives LABEL and PROBABILITIES."
        )
        return
    shape = "[1, 1]" if told.batching.largest else "[1]"
    yield f"    curl localhost:8000/v2/models/{told.name}_ensemble/infer -d '"
    yield '      {"inputs": [{"name": "TEXT", "datatype": "BYTES",'
    yield f'        "shape": {shape}, "data": ["a warm, funny film"]}}]}}\''


def _untold(told: Repository) -> Iterable[str]:
    if told.untold:
        yield ""
        yield "## What Triton cannot be told"
        yield ""
        yield from (f"- {safe_text(line, 400)}" for line in told.untold)


def _wrapped(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        if line.startswith(("    ", "|", "#", "`")) or len(line) <= _WIDTH:
            yield line
        else:
            yield textwrap.fill(line, _WIDTH, subsequent_indent="  " if line[:2] == "- " else "")
