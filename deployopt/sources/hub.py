"""The hub, through its own client: a name becomes a commit, its files are fetched and compared.

In: a repository and a revision. Out: a listing at one 40-hex commit, and files in the store. Every
file is compared with the sha256 or git digest of that listing, because the client compares sizes
only. HF_ENDPOINT, HF_HUB_OFFLINE and HF_TOKEN mean what they mean to the client. Without a hub the
error says so; offline, what was fetched before is used, at its recorded commit.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import (
    IntegrityError,
    MissingExtraError,
    RefusedInputError,
    SourceError,
    UsageError,
)
from deployopt.sources.adopting import check_as
from deployopt.sources.hub_files import HubFile, is_plain, mismatch
from deployopt.sources.hub_names import HubName
from deployopt.sources.staying import stays_home
from deployopt.store.keys import cache_key
from deployopt.store.staging import remove_tree
from deployopt.store.store import Store, StoredObject

DEFAULT_ENDPOINT: Final = "https://huggingface.co"
LISTING_TIMEOUT_S: Final = 20.0
MAIN: Final = "main"
FILES_MAX: Final = 100_000
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_LISTINGS: Final = "hub-listings"
_REVISIONS: Final = "hub-revisions"
_TRUE: Final = frozenset({"1", "on", "yes", "true"})
_FORMAT: Final = 1


class HubListing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A repository at one commit."""

    commit: str
    licence: str | None
    files: tuple[HubFile, ...]


def endpoint() -> str:
    """The hub's address, as the client takes it from the environment."""
    found = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    if not found.startswith(("http://", "https://")):
        raise UsageError(f"HF_ENDPOINT is {found!r}, not an address that begins with https://.")
    return found


def list_repository(name: HubName, store: Store) -> HubListing:
    """The repository at its revision, resolved to a commit; a known commit asks nobody.

    Raises:
        SourceError: no hub answered, or it has no such repository or revision.
        MissingExtraError: the client is not installed.
    """
    revision = name.revision or MAIN
    if _COMMIT.fullmatch(revision):
        known = _recorded(name, revision, store)
        if known is not None:
            return known
    if is_offline():
        return _fetched_before(name, revision, store)
    listing = _ask(name, revision, store)
    store.put_record(_LISTINGS, _key(name, listing.commit), msgspec.json.encode(listing))
    store.put_record(_REVISIONS, _key(name, revision), listing.commit.encode())
    return listing


def hub_key(name: HubName, commit: str, names: tuple[str, ...]) -> str:
    """The key under which the files of a repository at a commit stand."""
    return cache_key({"source": "hub", "version": _FORMAT, "kind": name.kind,
        "repository": name.repository, "commit": commit, "files": list(names)})  # fmt: skip


def fetch_files(
    name: HubName,
    listing: HubListing,
    names: tuple[str, ...],
    store: Store,
    check: Callable[[Path], None],
) -> StoredObject:
    """The named files in the store, each compared with the listing; `check` sees them before.

    Raises:
        IntegrityError: a file is not the one that the listing has.
        SourceError: it could not be fetched.
    """
    key = hub_key(name, listing.commit, names)
    held = store.lookup(key)
    if held is not None:
        return held
    if is_offline():
        raise SourceError(
            f"{name.written} at {listing.commit} is not in the store, and HF_HUB_OFFLINE is set. "
            "Unset it to fetch the files."
        )
    wanted = {file.path: file for file in listing.files if file.path in names}
    store.require_space(sum(file.size_bytes for file in wanted.values()), "This download")
    with store.stage() as staged:
        for path in names:
            _download(name, listing.commit, path, staged, store)
        remove_tree(staged / ".cache")
        drift = [text for path in names if (text := mismatch(staged / path, wanted[path]))]
        if drift:
            raise IntegrityError(
                f"{name.written} changed between listing and fetching, or was damaged on the way: "
                f"{'; '.join(drift)}. Nothing was kept; run the same command again."
            )
        check_as(staged, name.written, check)
        return store.commit(staged, key)


def _ask(name: HubName, revision: str, store: Store) -> HubListing:
    with client_errors(name, revision, store):
        from huggingface_hub import HfApi

        client = HfApi(endpoint=endpoint(), library_name="deployopt")
        ask = client.model_info if name.kind == "model" else client.dataset_info
        info = ask(
            name.repository, revision=revision, files_metadata=True, timeout=LISTING_TIMEOUT_S
        )
        siblings = info.siblings or []
        files = tuple(
            HubFile(
                path=sibling.rfilename,
                size_bytes=sibling.size or 0,
                sha256=sibling.lfs.sha256 if sibling.lfs else None,
                git_sha1=None if sibling.lfs else sibling.blob_id,
            )
            for sibling in siblings[:FILES_MAX]
        )
        licence = getattr(info.card_data, "license", None)
        commit = str(info.sha)
    odd = [file.path for file in files if not is_plain(file.path)]
    if odd:
        raise RefusedInputError(
            f"{name.written} lists {odd[0][:100]!r}, a name that leaves its folder. Nothing was "
            "fetched."
        )
    if not _COMMIT.fullmatch(commit):
        raise SourceError(f"{endpoint()} gave {commit[:64]!r} as the commit of {name.written}.")
    if _COMMIT.fullmatch(revision) and revision != commit:
        raise IntegrityError(
            f"{endpoint()} answered for {name.written} at {revision} with the commit {commit}."
        )
    said = ", ".join(map(str, licence)) if isinstance(licence, list) else licence
    return HubListing(commit=commit, licence=said and str(said)[:200], files=files)


def _download(name: HubName, commit: str, path: str, staged: Path, store: Store) -> None:
    with client_errors(name, commit, store):
        from huggingface_hub import hf_hub_download

        hf_hub_download(
            name.repository,
            path,
            repo_type=name.kind,
            revision=commit,
            local_dir=staged,
            endpoint=endpoint(),
            library_name="deployopt",
        )


@contextmanager
def client_errors(name: HubName, revision: str, store: Store) -> Iterator[None]:
    """Every way in which the client fails, as one paragraph."""
    try:
        from huggingface_hub import errors
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"Fetching {name.written} from the hub", "build") from error
    # The client's transport has changed its package; its base error is the same in all of them.
    transport: type[Exception] = errors.HfHubHTTPError.__bases__[0]
    try:
        yield
    except errors.GatedRepoError as error:
        raise SourceError(
            f"{name.written} is gated: accept its terms at {endpoint()}/{name.repository}, log in "
            f"with `hf auth login` or set HF_TOKEN, and run the same command again."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise SourceError(
            f"{name.written} has no revision {revision!r} at {endpoint()}. Look at its branches, "
            "tags and commits there."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise SourceError(
            f"{endpoint()} has no {name.written}, or it is private. Check the name; for a private "
            "one log in with `hf auth login` or set HF_TOKEN."
        ) from error
    except errors.RemoteEntryNotFoundError as error:
        raise SourceError(
            f"A file of {name.written} at {revision} is listed and not there. Run the same command "
            "again."
        ) from error
    except (OSError, transport) as error:
        raise _no_hub(name, revision, error, store) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(
            f"What answers at {endpoint()} is not a model hub ({type(error).__name__}: {error}). "
            "Check HF_ENDPOINT."
        ) from error


def _no_hub(name: HubName, revision: str, error: Exception, store: Store) -> SourceError:
    from huggingface_hub import errors

    if isinstance(error, errors.HfHubHTTPError):
        why = f"answered with status {error.response.status_code}"
    else:
        why = f"did not answer ({' '.join(str(error).split())[:160] or type(error).__name__})"
    known = store.read_record(_REVISIONS, _key(name, revision))
    before = (
        f" Commit {known.decode()} was fetched before: set HF_HUB_OFFLINE=1 to use it."
        if known is not None
        else ""
    )
    return SourceError(
        f"{name.written} could not be fetched: the hub at {endpoint()} {why}. Check the network, "
        "or name another hub in HF_ENDPOINT; a folder with the model's files works too. "
        "demo-sentiment is a model that needs no hub; nothing was put in place of this one."
        f"{before}"
    )


def _fetched_before(name: HubName, revision: str, store: Store) -> HubListing:
    known = store.read_record(_REVISIONS, _key(name, revision))
    listing = _recorded(name, known.decode(), store) if known is not None else None
    if listing is None:
        raise SourceError(
            f"{name.written} was never fetched into this store, and HF_HUB_OFFLINE is set. Unset "
            "it, or use demo-sentiment, which needs no hub."
        )
    return listing


def _recorded(name: HubName, commit: str, store: Store) -> HubListing | None:
    data = store.read_record(_LISTINGS, _key(name, commit))
    return None if data is None else msgspec.json.decode(data, type=HubListing)


def _key(name: HubName, revision: str) -> str:
    return cache_key({"endpoint": endpoint(), "version": _FORMAT, "kind": name.kind,
        "repository": name.repository, "revision": revision})  # fmt: skip


def is_offline() -> bool:
    """Whether the environment, or who only looks, says that no hub may be asked."""
    return stays_home() or any(
        os.environ.get(variable, "").lower() in _TRUE
        for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )
