"""A folder that vLLM serves from: settings, how to start it, and weights that are at hand.

In: a request for a language model. Out: `vllm.yaml`, `serve.sh`, a README, and `model/` with
config, tokenizer and safetensors as they came; a model of the hub is named and not fetched. Weights
of 4 bits are not made here: then a recipe for what makes them lies in the folder, and `serve.sh`
says so until it was followed.
"""

import json
import shlex
import textwrap
from pathlib import Path
from typing import Final

from deployopt.core.artifact import Precision
from deployopt.core.exporting import Exported, ExportRequest
from deployopt.core.units import Dimension, show_quantity
from deployopt.pipeline.exporting.quantizing import QUANTIZED, RECIPE, SCRIPT, recipe_files
from deployopt.pipeline.exporting.sources import Found, find_source, is_local, model_class
from deployopt.pipeline.exporting.vllm import VERSION, Recipe, sharing, vllm_recipe
from deployopt.sources.checks import CONFIG_MAX_BYTES
from deployopt.sources.hub_names import PREFIX
from deployopt.store.handing import hand_over_folder, require_nothing_at
from deployopt.store.store import Store

SETTINGS: Final = "vllm.yaml"
START: Final = "serve.sh"
README: Final = "README.md"
MODEL: Final = "model"
_KEPT: Final = (".safetensors", ".json", ".jinja", ".model", ".txt")
_START: Final = """\
#!/bin/sh
# Starts vLLM with what stands in vllm.yaml; further options are passed on.
cd "$(dirname "$0")" || exit 1
exec vllm serve --config vllm.yaml "$@"
"""
_START_LATER: Final = f"""\
#!/bin/sh
# Starts vLLM with what stands in vllm.yaml; further options are passed on.
cd "$(dirname "$0")" || exit 1
if [ ! -e {QUANTIZED}/config.json ]; then
  echo "{QUANTIZED} is not there yet: python {SCRIPT} TEXTS.txt makes it (see {README})." >&2
  exit 1
fi
exec vllm serve --config vllm.yaml "$@"
"""


def export_vllm(request: ExportRequest, store: Store) -> Exported:
    """Write the folder.

    Raises:
        UsageError: no target with a GPU, no language model, or something is at the output.
        CannotFitError: it fits the target in no precision.
        StorageError: there is no room.
    """
    require_nothing_at(request.output)
    found = find_source(request, store, fetch=False)
    recipe = vllm_recipe(request, found.name, found.architecture)
    later = recipe.precision is Precision.INT4
    settings = {**_model_settings(found, later=later), **recipe.settings}
    place = MODEL if found.hub is None else found.hub.repository
    revision = None if found.hub is None else found.hub.revision
    made = recipe_files(place, revision, found.architecture) if later else {}
    todo = (_todo(found, request),) if later else ()
    texts = {
        SETTINGS: _yaml(settings),
        START: _START_LATER if later else _START,
        README: _readme(request, found, recipe, todo),
        **made,
    }
    files = hand_over_folder(_weights(found), texts, request.output)
    return Exported(
        model=found.hub.repository if found.folder is None and found.hub else _class(found),
        precision=recipe.precision,
        files=files,
        settings=settings,
        predicted=recipe.predicted,
        start=f"sh {shlex.quote(str(request.output))}/{START}",
        todo=todo,
        warnings=(*found.warnings, *recipe.warnings),
        exit_code=recipe.exit_code,
    )


def _class(found: Found) -> str:
    return "" if found.folder is None else model_class(found.folder)


def _weights(found: Found) -> dict[str, Path]:
    """The folder's files, by their place in ours."""
    if found.folder is None:
        return {}
    kept = (
        path
        for path in sorted(found.folder.iterdir())
        if path.is_file() and path.suffix in _KEPT and _is_wanted(path)
    )
    return {f"{MODEL}/{path.name}": path for path in kept}


def _is_wanted(path: Path) -> bool:
    return path.suffix == ".safetensors" or path.stat().st_size <= 16 * CONFIG_MAX_BYTES


def _model_settings(found: Found, *, later: bool) -> dict[str, str | int | float]:
    served: dict[str, str | int | float] = {"served-model-name": _name(found)}
    if later:
        return {"model": f"./{QUANTIZED}", **served}
    if found.hub is None:
        return {"model": f"./{MODEL}", **served}
    pinned = {} if found.hub.revision is None else {"revision": found.hub.revision}
    return {"model": found.hub.repository, **pinned, **served}


def _name(found: Found) -> str:
    if found.hub is not None and found.name.startswith(PREFIX):
        return found.hub.repository
    return Path(found.name).name if is_local(found.name) else found.name


def _yaml(settings: dict[str, str | int | float]) -> str:
    """Flat; texts in quotes, as JSON writes them, which YAML reads."""
    head = f"# For `vllm serve --config {SETTINGS}`; names are those of vLLM {VERSION}.\n"
    return head + "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items())


def _todo(found: Found, request: ExportRequest) -> str:
    kept = "" if found.hub is None else f" of {found.hub.repository}"
    return (
        "Weights of 4 bits have to be made first, by llm-compressor and on a GPU: in "
        f"{request.output}, `python {SCRIPT} TEXTS.txt` reads texts to calibrate by, follows "
        f"{RECIPE} and writes {QUANTIZED}. Or name a 4-bit checkpoint{kept} that somebody has "
        f"published (on the hub often NAME-AWQ or NAME-GPTQ-Int4) as `model` in {SETTINGS}."
    )


def _readme(request: ExportRequest, found: Found, recipe: Recipe, todo: tuple[str, ...]) -> str:
    target = request.target
    if target is None:
        return ""
    memory = recipe.predicted["memory_bytes"]
    low, high = (show_quantity(v, Dimension.SIZE) for v in (memory.lower, memory.upper))
    devices = int(recipe.settings["tensor-parallel-size"])
    at_once = recipe.settings["max-num-seqs"]
    lines = [
        f"# {found.name} for vLLM on {target.title}",
        "",
        "Nothing here has run: every figure is predicted by arithmetic over the model's shape.",
        "Measure on the device before you rely on it.",
        "",
        "    pip install 'vllm>=0.33,<0.34'",
        f"    sh {START}",
        "",
        *(line for text in todo for line in (text, "")),
        f"- precision: {recipe.precision} on {sharing(target, devices)}",
        f"- memory: {low} to {high} on each, with one request of {recipe.usual:,} tokens",
        f"- a request has at most {recipe.settings['max-model-len']:,} tokens, prompt and answer",
        f"- at most {at_once} requests at once, {recipe.usual:,} tokens each; longer ones wait",
        *_speeds(recipe),
        "",
        f"Settings stand in {SETTINGS}, under the names of vLLM {VERSION}.",
        "",
    ]
    wrapped = (
        textwrap.fill(line, 80, subsequent_indent="  " if line.startswith("- ") else "")
        for line in lines
    )
    return "\n".join(wrapped)


def _speeds(recipe: Recipe) -> list[str]:
    rate = recipe.predicted.get("decode_tps")
    if rate is None:
        return []
    return [f"- one request alone: {rate.lower:.0f} to {rate.upper:.0f} tokens a second"]
