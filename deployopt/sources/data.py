"""A data name becomes three splits in the store, ready to be judged with.

In: a file, a folder, `hub:datasets/…`, or the data that a model brings. Out: calibration, search
and gate as files of examples, labels matched with the model's. Every error is found here, before
any work, and says where in the data it is.
"""

from typing import Final

import msgspec

from deployopt.catalogue.data import SYNTHETIC, find_data
from deployopt.catalogue.models import DEMO
from deployopt.core.errors import UsageError
from deployopt.core.examples import encode_examples
from deployopt.core.interface import ArrayInputs, DrawingInputs, ImageInputs, PairInputs, TextInputs
from deployopt.core.source import Dataset, SourceModel
from deployopt.sources.array_data import find_arrays, make_up
from deployopt.sources.coco_data import find_detections
from deployopt.sources.demo_data import find_demo
from deployopt.sources.hub_data import find_hub_data
from deployopt.sources.hub_names import PREFIX
from deployopt.sources.image_data import find_images
from deployopt.sources.locking import Lock, check_locked
from deployopt.sources.naming import check_data_name
from deployopt.sources.pairs import find_pairs
from deployopt.sources.parts import DataOptions, Found, Parts, Request, split_files
from deployopt.sources.placing import located
from deployopt.sources.prompts import find_prompts
from deployopt.sources.text_data import find_texts
from deployopt.store.keys import cache_key
from deployopt.store.store import Store, StoredObject
from deployopt.store.writing import write_new_file

_VERSION: Final = 1
_FINDERS: Final = {
    TextInputs: find_texts,
    ImageInputs: find_images,
    ArrayInputs: find_arrays,
    DrawingInputs: find_prompts,
    PairInputs: find_pairs,
}


class _Beside(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands beside the splits in the store."""

    labelled: bool
    counts: dict[str, int]
    notes: tuple[str, ...]


def load_dataset(
    spec: str | None,
    *,
    model: SourceModel,
    store: Store,
    seed: int = 0,
    options: DataOptions | None = None,
    lock: Lock | None = None,
) -> Dataset:
    """The splits that `spec` gives for `model`; None is the data that the model brings.

    Raises:
        UsageError: no such data, it is malformed, too little, or its labels are not the model's.
        SourceError: it could not be fetched.
        RefusedInputError: it could break a reader.
        IntegrityError: its bytes are not the ones that were pinned or locked.
        MissingExtraError: a package to read it is not installed.
    """
    name = spec or model.default_data
    if name is None and model.interface.draws:
        raise UsageError(
            f"{model.name} draws, and brings no prompts to be judged with. Give some as the data: "
            "a .txt file with one a line, at least 30; what so many can prove is said by the plan."
        )
    if name is None:
        raise UsageError(
            f"{model.name} brings no evaluation data. Give it as the data: a CSV, JSON-lines or "
            "Parquet file with text and label, a folder of images with one sub-folder a class, or "
            "hub:datasets/ORG/NAME."
        )
    options = options or DataOptions()
    options.check()
    request = Request(name=name, model=model, store=store, seed=seed, options=options, lock=lock)
    found = _find(request)
    check_locked(found.origin, lock)
    key = cache_key(
        {
            "source": "dataset",
            "version": _VERSION,
            "seed": seed,
            "name": found.name,
            "files": [[entry.path, entry.sha256] for entry in found.origin.files],
            "options": msgspec.to_builtins(options),
            "interface": msgspec.to_builtins(model.interface),
        }
    )
    stored = store.lookup(key) or _write(found.read(), store, key)
    return _dataset(found, stored)


def _find(request: Request) -> Found:
    name = request.name
    known = find_data(name)
    if request.model.interface.detects and (known is not None or name.startswith(PREFIX)):
        raise UsageError(
            f"{name} has no boxes that are read. A detector is judged with a folder of images and "
            "annotations in COCO's form: give that folder, or its JSON file, with --data."
        )
    if request.model.interface.pairs and (known is not None or name.startswith(PREFIX)):
        raise UsageError(
            f"{name} has no captions that are read. An image-text model is judged with images and "
            "a file that has the columns image and caption: give that file with --data."
        )
    _require_prompts(request, known=known is not None)
    if known is not None or name.startswith(PREFIX):
        return find_hub_data(request, known)
    if name == DEMO:
        return find_demo(request)
    if name == SYNTHETIC:
        return make_up(request)
    check_data_name(name)
    if request.model.interface.detects:
        return find_detections(request, located(name))
    return _FINDERS[type(request.model.interface.inputs)](request, located(name))


def _require_prompts(request: Request, *, known: bool) -> None:
    name = request.name
    named = known or name.startswith(PREFIX) or name in (DEMO, SYNTHETIC)
    if request.model.interface.draws and named:
        raise UsageError(
            f"{name} is no file of prompts. A model that draws is judged with a .txt file of one "
            "prompt a line, or a CSV or JSON-lines file with a column of them: give it with --data."
        )


def _write(parts: Parts, store: Store, key: str) -> StoredObject:
    with store.stage() as staged:
        for split, examples in parts.splits.items():
            suffix, content = encode_examples(examples)
            write_new_file(staged / f"{split.value}{suffix}", content)
        beside = _Beside(
            labelled=parts.labelled,
            counts={split.value: len(examples) for split, examples in parts.splits.items()},
            notes=parts.notes,
        )
        return store.commit(staged, key, meta=msgspec.json.encode(beside))


def _dataset(found: Found, stored: StoredObject) -> Dataset:
    beside = msgspec.json.decode(stored.meta, type=_Beside)
    return Dataset(
        name=found.name,
        labelled=beside.labelled,
        splits=split_files(stored, beside.counts),
        origin=found.origin,
        synthetic=found.name == SYNTHETIC,
        notes=beside.notes,
    )
