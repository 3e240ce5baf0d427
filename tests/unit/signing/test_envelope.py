"""A signature has one form; whatever says the same otherwise, or leaves something out, is none."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from deployopt.core.codec import encode_pretty
from deployopt.core.errors import IntegrityError
from deployopt.signing.envelope import canonical_envelope, read_envelope

NAMES = ("labels.json", "manifest.json")
DIGESTS = {name: hashlib.sha256(name.encode()).hexdigest() for name in NAMES}


def statement(digests: dict[str, str] | None = None) -> dict[str, Any]:
    """As the library writes it."""
    found = DIGESTS if digests is None else digests
    whole = hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in found.values()))
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "bundle", "digest": {"sha256": whole.hexdigest()}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": [
                {"name": name, "algorithm": "sha256", "digest": digest}
                for name, digest in found.items()
            ],
        },
    }


def wrapped(payload: dict[str, Any] | bytes) -> dict[str, Any]:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "e" * 64}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(data).decode(),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": base64.b64encode(b"signature").decode(), "keyid": ""}],
        },
    }


def read(envelope: dict[str, Any]) -> Any:
    return read_envelope(encode_pretty(envelope), "model.sig")


def test_it_says_which_files_it_is_of() -> None:
    found = read(wrapped(statement()))
    assert found.digests == DIGESTS
    assert found.hint == "e" * 64


def test_what_the_library_writes_is_put_into_the_one_form() -> None:
    loose = json.dumps(wrapped(statement()), indent=4).encode()
    with pytest.raises(IntegrityError, match="written otherwise"):
        read_envelope(loose, "model.sig")
    assert read_envelope(canonical_envelope(loose), "model.sig").digests == DIGESTS


Change = Callable[[dict[str, Any]], object]
STATEMENTS: dict[str, tuple[Change, str]] = {
    "ignored": (
        lambda s: s["predicate"]["serialization"].update(ignore_paths=[".git", "x"]),
        r"leaves 2 paths out, '\.git' for one",
    ),
    "links": (
        lambda s: s["predicate"]["serialization"].update(allow_symlinks=True),
        "following symbolic links",
    ),
    "shards": (lambda s: s["predicate"]["serialization"].update(method="shards"), "method"),
    "blake3": (lambda s: s["predicate"]["serialization"].update(hash_type="blake3"), "hash_type"),
    "sharded": (lambda s: s["predicate"]["serialization"].update(shard_size=1), "shard_size"),
    "old form": (
        lambda s: s.update(predicateType="https://model_signing/Digests/v0.1"),
        "of the type",
    ),
    "statement": (lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"), "of the type"),
    "two subjects": (lambda s: s["subject"].append(s["subject"][0]), "length"),
    "no subject": (lambda s: s["subject"].clear(), "length"),
    "twice": (
        lambda s: s["predicate"]["resources"].append(s["predicate"]["resources"][0]),
        "twice",
    ),
    "fewer": (lambda s: s["predicate"]["resources"].pop(), "not what its own digest says"),
    "order": (lambda s: s["predicate"]["resources"].reverse(), "not what its own digest says"),
    "digest": (lambda s: s["predicate"]["resources"][0].update(digest="AB" * 32), "no sha256"),
    "algorithm": (lambda s: s["predicate"]["resources"][0].update(algorithm="md5"), "algorithm"),
    "more": (lambda s: s["predicate"].update(extra=1), "extra"),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_of_another_kind_is_refused(name: str) -> None:
    change, says = STATEMENTS[name]
    changed = statement()
    change(changed)
    with pytest.raises(IntegrityError, match=says) as caught:
        read(wrapped(changed))
    assert "\n" not in str(caught.value)


ENVELOPES: dict[str, Change] = {
    "media": lambda e: e.update(mediaType="application/vnd.dev.sigstore.bundle.v0.2+json"),
    "payload type": lambda e: e["dsseEnvelope"].update(payloadType="text/plain"),
    "certificate": lambda e: e["verificationMaterial"].update(x509CertificateChain={}),
    "no key": lambda e: e["verificationMaterial"].pop("publicKey"),
    "log": lambda e: e["verificationMaterial"]["tlogEntries"].append({}),
    "two signatures": lambda e: e["dsseEnvelope"]["signatures"].append({"sig": "", "keyid": ""}),
    "no signature": lambda e: e["dsseEnvelope"]["signatures"].clear(),
    "key's name": lambda e: e["dsseEnvelope"]["signatures"][0].update(keyid="k"),
    "loose bits": lambda e: e["dsseEnvelope"]["signatures"][0].update(sig="QR=="),
    "line feeds": lambda e: e["dsseEnvelope"].update(payload=e["dsseEnvelope"]["payload"] + "\n"),
    "not base64": lambda e: e["dsseEnvelope"].update(payload="é"),
    "more": lambda e: e.update(more=1),
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_an_envelope_of_another_form_is_refused(name: str) -> None:
    envelope = wrapped(statement())
    ENVELOPES[name](envelope)
    with pytest.raises(IntegrityError, match="is no signature of a bundle"):
        read(envelope)


@pytest.mark.parametrize(
    "data", [b"", b"null", b"{}", b"[" * 200_000, b"\xff\xfe", b'{"a":' * 50_000]
)
def test_what_is_no_json_of_that_form_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="is no signature of a bundle"):
        read_envelope(data, "model.sig")
    with pytest.raises(IntegrityError, match="is no signature of a bundle"):
        read(wrapped(data))
