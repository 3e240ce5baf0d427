"""OpenSSF Model Signing, through the package model-signing: all the cryptography there is.

In: folders of files, keys. Out: the bytes of a signature, or that it holds. The library is asked
for exactly the files that are named here, none of them ignored; by itself it would leave `.git/`
and `.github/` out, and whatever a signature asks it to.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from deployopt.core.errors import IntegrityError
from deployopt.core.text import safe_text
from deployopt.signing.envelope import canonical_envelope
from deployopt.signing.keys import missing, password
from deployopt.store.writing import write_new_file

if TYPE_CHECKING:
    from model_signing.hashing import Config
    from model_signing.manifest import Manifest

_SHOWN = 400
Names = Mapping[Path, Sequence[str]]
"""Under each root, which of its files, by their paths in the bundle."""


def sign_files(files: Names, name: str, key: Path, scratch: Path) -> bytes:
    """The signature over these files, as `read_envelope` takes it; `scratch` is an empty folder.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    try:
        from model_signing import signing
    except ImportError as error:
        raise missing("Signing") from error
    path = scratch / "model.sig"
    # The library says str and means bytes.
    secret: str | None = password()  # type: ignore[assignment]
    config = signing.Config().set_hashing_config(_listed(files, name))
    config.use_elliptic_key_signer(private_key=key, password=secret).sign(scratch, path)
    return canonical_envelope(path.read_bytes())


def check_signature(files: Names, signature: bytes, public_pem: bytes, scratch: Path) -> None:
    """Whether the key vouches for exactly these files, read anew; `scratch` is an empty folder.

    Raises:
        IntegrityError: it does not; says what differs.
        MissingExtraError: the extra is not installed, so nothing is known.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from model_signing import verifying
    except ImportError as error:
        raise missing("Checking a signature") from error
    # The library reads both from files; those that were looked at here must be those it reads.
    key, path = scratch / "key.pub", scratch / "model.sig"
    write_new_file(key, public_pem)
    write_new_file(path, signature)
    config = verifying.Config().set_hashing_config(_listed(files, ""))
    try:
        config.use_elliptic_key_verifier(public_key=key).verify(scratch, path)
    except InvalidSignature as error:
        raise IntegrityError("its signature is not of that key") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise IntegrityError(safe_text(str(error), _SHOWN)) from error


def _listed(files: Names, name: str) -> "Config":
    """What the library hashes: these files and no others, from several roots as one folder."""
    from model_signing.hashing import Config
    from model_signing.manifest import FileManifestItem, Manifest, SerializationType

    class Listed(Config):
        """In the place of the library's walk over the folder."""

        def hash(self, model_path: object, *, files_to_hash: object = None) -> "Manifest":
            del model_path, files_to_hash
            items: list[FileManifestItem] = []
            args: dict[str, object] = {}
            for root, names in files.items():
                part = super().hash(root, files_to_hash=_paths(root, names))
                args = part.serialization_type
                items += [
                    FileManifestItem(path=PurePosixPath(one.identifier), digest=one.digest)
                    for one in part.resource_descriptors()
                ]
            return Manifest(name, items, SerializationType.from_args(args))

        def add_ignored_paths(self, *, model_path: object, paths: Iterable[object]) -> None:
            """Called where a signature asks for it."""
            del model_path
            raise ValueError(f"it leaves paths out: {[str(path) for path in paths]}")

    config: Config = Listed()  # type: ignore[no-untyped-call] # the library's constructor
    strict = config.use_file_serialization(hashing_algorithm="sha256", allow_symlinks=False)
    return strict.set_ignored_paths(paths=[], ignore_git_paths=False)


def _paths(root: Path, names: Sequence[str]) -> list[Path]:
    return [root / name for name in names]
