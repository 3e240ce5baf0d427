"""The form of a signature: a Sigstore bundle with one DSSE envelope around one in-toto statement.

In: the bytes of `model.sig`. Out: which files it is of, with their sha256. Nothing here says that a
key vouches for it; that is `oms.py`'s. Refused: every byte that is not as deployopt writes it, so
that no two files say the same; other digests than sha256, links that are followed, parts of files,
and a list of files to ignore, under which anything could be planted.
"""

import base64
import binascii
import hashlib
import re
from typing import Final, Literal

import msgspec

from deployopt.core.codec import encode_pretty
from deployopt.core.errors import IntegrityError

SIZE_MAX: Final = 4 * 2**20
MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://model_signing/signature/v1.0"
_HEX: Final = re.compile(r"[0-9a-f]{64}")


class _PublicKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    hint: str


class _Material(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    public_key: _PublicKey
    tlog_entries: tuple[()] = ()


class _Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sig: str
    keyid: Literal[""] = ""


class _Dsse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    payload: str
    payload_type: Literal["application/vnd.in-toto+json"] = PAYLOAD_TYPE
    signatures: tuple[_Signed]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`model.sig` as it is written and read here."""

    media_type: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"] = MEDIA_TYPE
    verification_material: _Material
    dsse_envelope: _Dsse


class _Digest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sha256: str


class _Subject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    digest: _Digest


class _Serialization(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    method: Literal["files"]
    hash_type: Literal["sha256"]
    allow_symlinks: bool
    ignore_paths: tuple[str, ...] = ()


class _Resource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    algorithm: Literal["sha256"]
    digest: str


class _Predicate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    serialization: _Serialization
    resources: tuple[_Resource, ...]


class _Statement(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    type: str = msgspec.field(name="_type")
    subject: tuple[_Subject]
    predicate_type: str
    predicate: _Predicate


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What a signature says it is of; its word only, until a key has been held against it."""

    hint: str
    """sha256 of the PEM file of the public key that it says to be made for."""
    digests: dict[str, str]
    """sha256 by path in the bundle."""


def canonical_envelope(data: bytes) -> bytes:
    """What the signing library wrote, in the one form that is read here."""
    return encode_pretty(msgspec.json.decode(data, type=_File))


def read_envelope(data: bytes, where: str) -> Envelope:
    """The signature's word.

    Raises:
        IntegrityError: it is not of the form that `deployopt sign` gives it; says what is not.
    """
    try:
        file = _file(data)
        _binary(file.dsse_envelope.signatures[0].sig)
        payload = _binary(file.dsse_envelope.payload)
        statement = msgspec.json.decode(payload, type=_Statement)
        digests = _digests(statement)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(
            f"{where} is no signature of a bundle: {_reason(error)}. Take a fresh copy of the "
            "bundle, or have it signed again with `deployopt sign`."
        ) from error
    return Envelope(hint=file.verification_material.public_key.hint, digests=digests)


def _file(data: bytes) -> _File:
    file = msgspec.json.decode(data, type=_File)
    if encode_pretty(file) != data:
        raise ValueError("it is written otherwise than deployopt writes it")
    return file


def _digests(statement: _Statement) -> dict[str, str]:
    """By path; ValueError where the statement is of another kind or leaves something out."""
    for found, wanted in (
        (statement.type, STATEMENT),
        (statement.predicate_type, PREDICATE),
    ):
        if found != wanted:
            raise ValueError(f"it is a statement of the type {found!r}, not {wanted!r}")
    serialization = statement.predicate.serialization
    ignored = serialization.ignore_paths
    if ignored:
        raise ValueError(
            f"it leaves {len(ignored)} paths out, {ignored[0]!r} for one, where anything could be "
            "planted"
        )
    if serialization.allow_symlinks:
        raise ValueError("it was made following symbolic links")
    resources = statement.predicate.resources
    digests = {resource.name: resource.digest for resource in resources}
    if len(digests) != len(resources):
        raise ValueError("it lists a file twice")
    if not all(_HEX.fullmatch(digest) for digest in digests.values()):
        raise ValueError("it lists a digest that is no sha256")
    whole = hashlib.sha256(b"".join(bytes.fromhex(one.digest) for one in resources))
    if whole.hexdigest() != statement.subject[0].digest.sha256:
        raise ValueError("its list of files is not what its own digest says")
    return digests


def _binary(text: str) -> bytes:
    """Base64 in its one form."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise binascii.Error("its base64 has loose bits")
    return data


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
