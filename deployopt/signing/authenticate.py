"""May this bundle be taken: does a key vouch for every byte, and is it no older than the last.

In: a bundle whose digests hold, and the public key to hold against it, or none. Out: what is known
of who made it. Refused (IntegrityError): a signature that is of other files, of another bundle, of
another key, or of another form; no signature where a key was given; a release that was followed by
another here. Without a key nothing is vouched for, and that is said.
"""

from pathlib import Path

import msgspec

from deployopt.core.bundle import Manifest
from deployopt.core.errors import IntegrityError
from deployopt.core.signature import Authenticity, Release, Trust, short_key
from deployopt.signing.keys import checked_public
from deployopt.signing.vouching import PublicKey, Word, read_word, require_vouched
from deployopt.store.releases import Kept, Releases, Subject


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a bundle before it is measured."""

    key: Path | None = None
    """The public key that has to vouch for it; None takes it unverified."""
    allow_rollback: bool = False
    """Take an older release than the last that was accepted."""
    store: Path | None = None
    """Where accepted releases are remembered; the user's own store by default."""
    device: str = ""
    """The address of the device that it is for; empty for this machine."""


def authenticate(folder: Path, manifest: Manifest, policy: Policy, scratch: Path) -> Authenticity:
    """What is known of who made the bundle; `scratch` is a folder for temporary files.

    Raises:
        IntegrityError: it may not be taken; says why and what to do.
        UsageError: the key is none.
        MissingExtraError: a key was given, and what checks signatures is not installed.
    """
    vouched = require_signed(folder, manifest, policy, scratch)
    if vouched is None:
        return _unverified(read_word(folder, manifest))
    release, key = vouched
    last = Releases(policy.store).last(_subject_of(manifest, key.digest, policy.device))
    if last is not None and release.release_seq < last.release_seq and not policy.allow_rollback:
        raise _rolled_back(folder, release, last)
    return Authenticity(
        trust=Trust.VERIFIED,
        says=_verified_words(release, last, key.digest),
        signed=True,
        key=key.digest,
        release_seq=release.release_seq,
        previous_seq=None if last is None else last.release_seq,
    )


def require_signed(
    folder: Path, manifest: Manifest, policy: Policy, scratch: Path
) -> tuple[Release, PublicKey] | None:
    """The release, and the key that vouches for it; None where the policy asks for no key.

    Raises:
        IntegrityError: the key of the policy does not vouch for the bundle.
        UsageError: the key is none.
        MissingExtraError: what checks signatures is not installed.
    """
    if policy.key is None:
        return None
    key = PublicKey(name=str(policy.key), pem=checked_public(policy.key))
    word = read_word(folder, manifest)
    if word is None:
        raise IntegrityError(
            f"{folder} is not signed, and --key asks for the signature of {key.name}. Have it "
            "signed with `deployopt sign BUNDLE --key K`, or leave --key out to take it unverified."
        )
    require_vouched(folder, manifest, word, key, scratch)
    return word.release, key


def require_memory(policy: Policy) -> None:
    """Fail before an hour of measuring where what is accepted could not be remembered.

    Raises:
        StorageError: the store cannot be written.
    """
    if policy.key is not None:
        Releases(policy.store).require_writable()


def accept_release(manifest: Manifest, found: Authenticity, policy: Policy) -> None:
    """Remember that this release was accepted, so that an older one is not.

    Raises:
        StorageError: it cannot be remembered.
    """
    if found.key is None or found.release_seq is None:
        return
    kept = Kept(
        name=manifest.name,
        release_seq=found.release_seq,
        bundle_digest=manifest.bundle_digest,
    )
    subject = _subject_of(manifest, found.key, policy.device)
    Releases(policy.store).keep(subject, kept, lower=policy.allow_rollback)


def _subject_of(manifest: Manifest, key: str, device: str) -> Subject:
    """Under what its releases are counted."""
    return Subject(name=manifest.name, key=key, device=device)


def _rolled_back(folder: Path, release: Release, last: Kept) -> IntegrityError:
    return IntegrityError(
        f"{folder} is release {release.release_seq} of {release.name}, and release "
        f"{last.release_seq} was accepted here before. An older release may have faults that the "
        "newer one mended, so it is refused, though its signature holds. Take the newer one; or, "
        "to go back on purpose, add --allow-rollback: this release then counts as the last."
    )


def _unverified(word: Word | None) -> Authenticity:
    if word is None:
        return Authenticity(trust=Trust.UNVERIFIED, says="the bundle is not signed", signed=False)
    return Authenticity(
        trust=Trust.UNVERIFIED,
        says="the bundle is signed, and nobody checked by whom: add --key K.pub",
        signed=True,
        release_seq=word.release.release_seq,
    )


def _verified_words(release: Release, last: Kept | None, key: str) -> str:
    after = ""
    if last is not None and last.release_seq != release.release_seq:
        word = "after" if last.release_seq < release.release_seq else "gone back to from"
        after = f", {word} {last.release_seq}"
    return f"signed with the key {short_key(key)}…, release {release.release_seq}{after}"
