"""Sign a bundle: its files as they are, a release number, a bill of materials, in `signature/`.

In: a bundle whose digests hold, a private key. Out: `signature/`, put there in one step, after
which every byte but the signature's own is vouched for. What was built is not touched. Refused: a
bundle that is not what its manifest says, a key that is none.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from deployopt.core.bundle import Lineage, Manifest
from deployopt.core.codec import decode_json, encode_pretty
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.signature import Release, SignResult
from deployopt.core.target import Target
from deployopt.core.verdict import Verdict
from deployopt.core.version import VERSION
from deployopt.signing.bill import Facts, bill_of_materials
from deployopt.signing.covering import built_names, covered_names, read_small
from deployopt.signing.keys import key_digest, new_pair, public_of
from deployopt.signing.oms import sign_files
from deployopt.signing.vouching import PublicKey, read_word, require_vouched
from deployopt.store.key_files import is_shared, public_name, read_key, write_key_pair
from deployopt.store.paths import BILL, RELEASE, SIGNATURE, SIGNED
from deployopt.store.releases import Kept, Releases, Subject
from deployopt.store.signatures import put_signature
from deployopt.store.verifying import verify_bundle
from deployopt.store.writing import make_folders, write_new_file

_T = TypeVar("_T")
_RECORD_MAX = 2**26
_SEQ_MAX = 2**53 - 1
"""The largest integer that every reader of JSON reads as it is."""


def make_key(private: Path) -> SignResult:
    """Make a pair of keys: `K`, for its owner alone, and `K.pub`.

    Raises:
        UsageError: one of them is there already.
        MissingExtraError: the extra is not installed.
    """
    private_pem, public_pem = new_pair()
    write_key_pair(private, private_pem, public_pem)
    return SignResult(
        key=key_digest(public_pem),
        private_key=str(private),
        public_key=str(public_name(private)),
        new_key=True,
    )


def sign(
    bundle: Path, key: Path, *, release_seq: int | None = None, store: Path | None = None
) -> SignResult:
    """Sign, and check what was signed.

    `release_seq` is by default one more than the last under this name and key: what this machine
    signed, or what the bundle's present signature says.

    Raises:
        IntegrityError: the bundle is not the one that was built.
        UsageError: the key is none, or the release number is no number that goes up.
        MissingExtraError: the extra is not installed.
        StorageError: the bundle, or the store, cannot be written to.
    """
    public = PublicKey(name=str(key), pem=public_of(key))
    manifest = verify_bundle(bundle)
    warnings = list(_warnings(key, manifest))
    number = _number(bundle, manifest, public, store) if release_seq is None else release_seq
    if release_seq is not None:
        warnings += _chosen(release_seq, manifest, public, store)
    beside = _beside(bundle, manifest, number)

    def fill(scratch: Path) -> dict[str, bytes]:
        """The signature is of what is in the bundle and of what will lie beside it."""
        made = scratch / "made"
        make_folders(made / SIGNATURE)
        for name, data in beside.items():
            write_new_file(made / SIGNATURE / name, data)
        library = scratch / "library"
        library.mkdir()
        files = {
            bundle: built_names(manifest),
            made: [f"{SIGNATURE}/{name}" for name in sorted(beside)],
        }
        return {**beside, SIGNED: sign_files(files, manifest.name, key, library)}

    put_signature(bundle, fill)
    _require_held(bundle, public)
    return SignResult(
        bundle=str(bundle),
        name=manifest.name,
        outcome=manifest.outcome,
        bundle_digest=manifest.bundle_digest,
        release_seq=number,
        files=len(covered_names(manifest)),
        size_bytes=sum(entry.size_bytes for entry in manifest.files),
        written=str(bundle / SIGNATURE),
        key=public.digest,
        private_key=str(key),
        public_key=_public_beside(key, public),
        warnings=tuple(warnings),
    )


def _number(bundle: Path, manifest: Manifest, public: PublicKey, store: Path | None) -> int:
    """The next one; what the present signature says counts where it is this key's."""
    present = 0
    try:
        word = read_word(bundle, manifest)
        if word is not None:
            require_vouched(bundle, manifest, word, public, bundle.absolute().parent)
            present = word.release.release_seq
    except IntegrityError:
        pass  # somebody else's, or broken: it is replaced
    if present >= _SEQ_MAX:
        raise UsageError(f"{bundle} is release {present}, the last that there can be.")
    return Releases(store).take(_subject(manifest, public), manifest.bundle_digest, above=present)


def _chosen(
    number: int, manifest: Manifest, public: PublicKey, store: Path | None
) -> Iterator[str]:
    """Remember the number that was asked for; a warning where devices will refuse it."""
    if not 1 <= number <= _SEQ_MAX:
        raise UsageError(f"A release's number is from 1 to {_SEQ_MAX}, not {number}.")
    releases, subject = Releases(store), _subject(manifest, public)
    last = releases.last(subject)
    if last is not None and number < last.release_seq:
        yield (
            f"Release {last.release_seq} of {manifest.name} was signed here before: a device that "
            f"has accepted it refuses release {number}."
        )
    digest = manifest.bundle_digest
    releases.keep(subject, Kept(name=manifest.name, release_seq=number, bundle_digest=digest))


def _subject(manifest: Manifest, public: PublicKey) -> Subject:
    return Subject(name=manifest.name, key=public.digest, role="signed")


def _beside(bundle: Path, manifest: Manifest, number: int) -> dict[str, bytes]:
    release = Release(
        name=manifest.name,
        target=manifest.target,
        bundle_digest=manifest.bundle_digest,
        release_seq=number,
        made_with=f"deployopt {VERSION}",
    )
    facts = Facts(
        manifest=manifest,
        release=release,
        lineage=_read(bundle, "lineage.json", Lineage),
        target=_read(bundle, "target.json", Target),
        verdict=_read(bundle, "verdict.json", Verdict),
    )
    return {RELEASE: encode_pretty(release), BILL: bill_of_materials(facts)}


def _read(bundle: Path, name: str, kind: type[_T]) -> _T:
    return decode_json(read_small(bundle / name, _RECORD_MAX), kind, where=str(bundle / name))


def _require_held(bundle: Path, public: PublicKey) -> None:
    """What was written is read again; somebody may have changed a file meanwhile."""
    manifest = verify_bundle(bundle)
    word = read_word(bundle, manifest)
    if word is None:
        raise IntegrityError(f"The signature of {bundle} was removed while it was written.")
    require_vouched(bundle, manifest, word, public, bundle.absolute().parent)


def _public_beside(key: Path, public: PublicKey) -> str | None:
    """The file to give to devices, where it lies beside the private one."""
    path = public_name(key)
    try:
        return str(path) if read_key(path) == public.pem else None
    except UsageError:
        return None


def _warnings(key: Path, manifest: Manifest) -> Iterator[str]:
    if is_shared(key):
        yield f"{key} can be read by others than its owner. Mend it with: chmod 600 {key}"
    if manifest.outcome != "accepted":
        yield (
            f"The bundle was judged {manifest.outcome} where it was built. A signature says who "
            "made it, not that it meets its budgets."
        )
