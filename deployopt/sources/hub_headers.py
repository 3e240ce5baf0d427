"""What a model of the hub is, without its weights: `config.json` and the headers of its files.

In: a name on the hub. Out: the config, and the weights by type. Headers come by range requests
through the hub's own client, each file's size from the listing at one commit, and every answer is
read no further than the header: a hub that sends the whole file is cut off. What was read stays in
the store, under its commit.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from deployopt.core.errors import SourceError, UsageError
from deployopt.core.weights import StoredWeights
from deployopt.sources.checks import CONFIG_MAX_BYTES, INDEX, read_vocabulary
from deployopt.sources.diffusion_files import CONFIGS
from deployopt.sources.diffusion_files import INDEX as PIPELINE
from deployopt.sources.headers import counted, index_of, pickled_files, weight_files
from deployopt.sources.hub import (
    LISTING_TIMEOUT_S,
    HubListing,
    client_errors,
    endpoint,
    fetch_files,
    is_offline,
    list_repository,
)
from deployopt.sources.hub_names import HubName
from deployopt.sources.weights import LENGTH_BYTES, Tensor, header_length, parse_header
from deployopt.store.keys import JsonValue, cache_key
from deployopt.store.store import Store

CONFIG: Final = "config.json"
FIRST_BYTES: Final = 100_000
"""Asked for first: most headers are shorter."""
_AT_ONCE: Final = 8
_HEADERS: Final = "hub-headers"
_FORMAT: Final = 1
_PARTIAL: Final = 206


class HubModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the hub at one commit; `stored` is None where it has no safetensors."""

    commit: str
    config: dict[str, object]
    stored: StoredWeights | None
    pickled: tuple[str, ...]
    """Weights that only code could read."""
    pipeline: Path | None = None
    """Of a pipeline in diffusers' form: a folder with the configs of its parts."""


def read_hub_model(name: HubName, store: Store) -> HubModel:
    """The model's config and headers at its revision; no weights are fetched.

    Raises:
        SourceError: no hub answered, or it has no such repository or revision.
        UsageError: the repository holds no config.json.
        RefusedInputError: a header that lies.
        MissingExtraError: the client is not installed.
    """
    listing = list_repository(name, store)
    sizes = {file.path: file.size_bytes for file in listing.files}
    if CONFIG not in sizes and PIPELINE in sizes:
        return HubModel(
            commit=listing.commit,
            config={},
            stored=None,
            pickled=(),
            pipeline=_pipeline(name, listing, store),
        )
    if CONFIG not in sizes:
        raise UsageError(
            f"{name.written} has no config.json, so nothing tells its shape; it has "
            f"{', '.join(sorted(sizes)[:8]) or 'no files'}. Give sizes by hand instead: "
            "--params 7B --layers 32 --hidden 4096 --heads 32."
        )
    config = _json(name, listing, CONFIG, store)
    index = None
    if INDEX in sizes and "model.safetensors" not in sizes:
        index = index_of(_json(name, listing, INDEX, store), f"{name.written}/{INDEX}")
    wanted = weight_files(sizes, name.written, index)
    return HubModel(
        commit=listing.commit,
        config=config,
        stored=_stored(name, listing, wanted, index, store) if wanted else None,
        pickled=pickled_files(sizes),
    )


def _json(name: HubName, listing: HubListing, path: str, store: Store) -> dict[str, object]:
    size = next(file.size_bytes for file in listing.files if file.path == path)
    if size > CONFIG_MAX_BYTES:
        raise UsageError(f"{name.written}: {path} has {size} bytes; {CONFIG_MAX_BYTES} are read.")
    return read_vocabulary(fetch_files(name, listing, (path,), store, _nothing).folder / path)


def _pipeline(name: HubName, listing: HubListing, store: Store) -> Path:
    """The configs of its parts, as far as they are listed."""
    sizes = {file.path: file.size_bytes for file in listing.files}
    wanted = tuple(path for path in CONFIGS if sizes.get(path, CONFIG_MAX_BYTES) < CONFIG_MAX_BYTES)
    return fetch_files(name, listing, wanted, store, _nothing).folder


def _nothing(_staged: Path) -> None:
    """What is read from it is arithmetic only."""


def _stored(
    name: HubName,
    listing: HubListing,
    wanted: tuple[str, ...],
    index: dict[str, str] | None,
    store: Store,
) -> StoredWeights:
    names: list[JsonValue] = list(wanted)
    key = cache_key({"endpoint": endpoint(), "version": _FORMAT, "repository": name.repository,
        "commit": listing.commit, "files": names})  # fmt: skip
    held = store.read_record(_HEADERS, key)
    if held is not None:
        return msgspec.json.decode(held, type=StoredWeights)
    if is_offline():
        raise SourceError(
            f"The headers of {name.written} at {listing.commit} are not in the store, and "
            "HF_HUB_OFFLINE is set. Unset it to read them."
        )
    sizes = {file.path: file.size_bytes for file in listing.files}
    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(wanted))) as several:
        read = several.map(
            lambda path: _header(name, listing.commit, path, sizes[path], store), wanted
        )
        found = counted(dict(zip(wanted, read, strict=True)), name.written, index)
    store.put_record(_HEADERS, key, msgspec.json.encode(found))
    return found


def _header(
    name: HubName, commit: str, path: str, file_bytes: int, store: Store
) -> dict[str, Tensor]:
    """One file's header; a second request only where it is longer than most."""
    where = f"{name.written}/{path}"
    with client_errors(name, commit, store):
        start = _bytes(name, commit, path, 0, min(FIRST_BYTES, file_bytes))
    length = header_length(start[:LENGTH_BYTES], file_bytes, where)
    header = start[LENGTH_BYTES : LENGTH_BYTES + length]
    if len(header) < length:
        with client_errors(name, commit, store):
            header = _bytes(name, commit, path, LENGTH_BYTES, length)
    return parse_header(header, file_bytes - LENGTH_BYTES - length, where)


def _bytes(name: HubName, commit: str, path: str, first: int, count: int) -> bytes:
    """`count` bytes of a file from `first` on; no more is read than was asked for."""
    found = bytearray()
    with _answer(name, commit, path, first, count) as answer:
        skip = 0 if answer.status_code == _PARTIAL else first
        for part in answer.iter_bytes():
            found += part
            if len(found) >= skip + count:
                break
    found = found[skip : skip + count]
    if len(found) < count:
        raise OSError(f"{path} ended after {len(found)} of {count} bytes")
    return bytes(found)


@contextmanager
def _answer(
    name: HubName, commit: str, path: str, first: int, count: int
) -> Iterator[Any]:  # the class is httpx's, whose package the client has renamed
    from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    url = hf_hub_url(name.repository, path, revision=commit, endpoint=endpoint())
    headers = build_hf_headers(library_name="deployopt")
    # Compressed, the bytes would not be the ones that were asked for.
    headers |= {"Range": f"bytes={first}-{first + count - 1}", "Accept-Encoding": "identity"}
    with get_session().stream("GET", url, headers=headers, timeout=LISTING_TIMEOUT_S) as answer:
        hf_raise_for_status(answer)
        yield answer
