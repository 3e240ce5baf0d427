"""Does a signature hold: is it of these very files, and is it that key's.

In: a bundle whose digests hold. Out: the release that its signature speaks of. Two questions apart:
what the signature says needs no key and no cryptography, and says nothing of who said it.
"""

from pathlib import Path

import msgspec

from deployopt.core.bundle import Manifest
from deployopt.core.codec import decode_json
from deployopt.core.errors import IntegrityError
from deployopt.core.signature import Release, short_key
from deployopt.signing.covering import (
    RELEASE_PATH,
    SIGNATURE_PATH,
    covered_digests,
    covered_names,
    read_small,
)
from deployopt.signing.envelope import read_envelope
from deployopt.signing.keys import key_digest
from deployopt.signing.oms import check_signature
from deployopt.store.faults import storage_errors
from deployopt.store.paths import SIGNATURE
from deployopt.store.staging import staged_folder
from deployopt.store.verifying import mismatch_list

_FRESH = "Take a fresh copy, or have it signed again with `deployopt sign`."


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What a signature says, read once."""

    signature: bytes
    hint: str
    """The key that it says to be of."""
    release: Release


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key, and what to call it."""

    name: str
    pem: bytes

    @property
    def digest(self) -> str:
        """What it is known by."""
        return key_digest(self.pem)


def read_word(folder: Path, manifest: Manifest) -> Word | None:
    """What the signature says; None where there is none.

    Raises:
        IntegrityError: it is of other files, or of another form; lists every mismatch.
    """
    if not (folder / SIGNATURE).exists():
        return None
    data = read_small(folder / SIGNATURE_PATH)
    envelope = read_envelope(data, str(folder / SIGNATURE_PATH))
    found = covered_digests(folder, manifest)
    problems = [
        *(f"{n!r} is missing in the signature" for n in sorted(found.keys() - envelope.digests)),
        *(f"{n!r} is signed, and not there" for n in sorted(envelope.digests.keys() - found)),
        *(
            f"{name!r} is not the file that was signed"
            for name in sorted(found.keys() & envelope.digests)
            if found[name] != envelope.digests[name]
        ),
    ]
    if problems:
        raise IntegrityError(
            f"{folder} is not the bundle that was signed {mismatch_list(problems)}\n{_FRESH}"
        )
    release = decode_json(read_small(folder / RELEASE_PATH), Release, where=RELEASE_PATH)
    if (release.name, release.target, release.bundle_digest) != (
        manifest.name,
        manifest.target,
        manifest.bundle_digest,
    ):
        raise IntegrityError(f"{folder / RELEASE_PATH} is of another bundle. {_FRESH}")
    return Word(signature=data, hint=envelope.hint, release=release)


def require_vouched(
    folder: Path, manifest: Manifest, word: Word, key: PublicKey, scratch: Path
) -> None:
    """Every file is read anew, and its digest held against what the key has signed.

    Raises:
        IntegrityError: the signature is another key's, or does not hold.
        MissingExtraError: what checks signatures is not installed.
    """
    if word.hint != key.digest:
        raise IntegrityError(
            f"{folder} was not signed with the key {key.name} ({short_key(key.digest)}…): its "
            f"signature says {short_key(word.hint)}…. Ask whoever signed it for the public key; if "
            "that is the one you have, this bundle is somebody else's."
        )
    files = {folder: covered_names(manifest)}
    with storage_errors("checking the signature", scratch), staged_folder(scratch) as staging:
        try:
            check_signature(files, word.signature, key.pem, staging)
        except IntegrityError as error:
            raise IntegrityError(
                f"{folder} is not what {key.name} vouches for: {error}. {_FRESH}"
            ) from error
