"""Keys: a pair on the curve P-256 as PEM files, as `openssl` makes and reads them too.

In: files. Out: a new pair, or the digest by which a key is known: sha256 of the public PEM, which
`sha256sum K.pub` prints. Refused: keys that are no elliptic-curve keys, and one in the other's
place. The arithmetic is the package `cryptography`'s.
"""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deployopt.core.errors import MissingExtraError, UsageError
from deployopt.store.key_files import read_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )

CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
PASSWORD: Final = "DEPLOYOPT_KEY_PASSWORD"  # noqa: S105 -- the name of a variable
_EXTRA: Final = "sign"
_HOW: Final = "`deployopt sign --new-key K` makes one, with K.pub beside it"
_PRIVATE: Final = b"PRIVATE KEY-----"
_PUBLIC: Final = b"-----BEGIN PUBLIC KEY-----"


def missing(what: str) -> MissingExtraError:
    """The error for whoever has not installed the extra."""
    return MissingExtraError(what, _EXTRA)


def new_pair() -> tuple[bytes, bytes]:
    """A new private key and its public one, as PEM.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )
    except ImportError as error:
        raise missing("Making a key") from error
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, _public_pem(key.public_key())


def public_of(path: Path) -> bytes:
    """The public key of a private key's file, as PEM.

    Raises:
        UsageError: there is no such key there; says what to do.
        MissingExtraError: the extra is not installed.
    """
    data = read_key(path)
    if _PUBLIC in data:
        raise UsageError(f"{path} is a public key, and signing takes the private one: name that.")
    return _public_pem(_private_key(path, data).public_key())


def checked_public(path: Path) -> bytes:
    """A public key's file as PEM, in its one form.

    Raises:
        UsageError: it is none, or a private key, which has no business on a device.
        MissingExtraError: the extra is not installed.
    """
    data = read_key(path)
    if _PRIVATE in data:
        raise UsageError(
            f"{path} is a private key. Verifying takes the public one, which lies beside it as "
            f"{path.name}.pub; keep the private one where bundles are signed."
        )
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as error:
        raise missing("Checking a signature") from error
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path} is no public key in PEM form; {_HOW}.") from error
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise _other_kind(path)
    return _public_pem(key)


def key_digest(public_pem: bytes) -> str:
    """What a key is known by."""
    return hashlib.sha256(public_pem).hexdigest()


def password() -> bytes | None:
    """Of an encrypted private key, from the environment: it must not be in a command line."""
    text = os.environ.get(PASSWORD)
    return text.encode() if text else None


def _private_key(path: Path, data: bytes) -> "EllipticCurvePrivateKey":
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise missing("Signing") from error
    try:
        key = load_pem_private_key(data, password())
    except TypeError as error:
        raise UsageError(_about_password(path)) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        tried = f", or {PASSWORD} is not its password" if password() else ""
        raise UsageError(f"{path} is no private key in PEM form{tried}; {_HOW}.") from error
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        raise _other_kind(path)
    return key


def _about_password(path: Path) -> str:
    if password() is None:
        return f"{path} is encrypted. Put its password into the environment as {PASSWORD}."
    return f"{path} is not encrypted, and {PASSWORD} is set. Unset it."


def _other_kind(path: Path) -> UsageError:
    return UsageError(
        f"{path} is no key on one of the curves {', '.join(CURVES)}, which signatures of models "
        f"are made with; {_HOW}."
    )


def _public_pem(key: "EllipticCurvePublicKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
