"""A signed bundle with any of its bytes changed is no longer one: 500 ways here, 10 000 when asked.

pytest -m long tests/unit/signing/test_mutants.py -s
"""

import base64
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.codec import encode_pretty
from deployopt.core.errors import IntegrityError
from deployopt.core.signature import Trust
from deployopt.store.paths import SIGNATURE, SIGNED
from tests.unit.signing.conftest import Check

Mutate = Callable[[random.Random, bytes], bytes]


def flipped(lot: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    changed[lot.randrange(len(data))] ^= 1 << lot.randrange(8)
    return bytes(changed)


def written(lot: random.Random, data: bytes) -> bytes:
    place = lot.randrange(len(data))
    return data[:place] + lot.randbytes(lot.randint(1, 4)) + data[place + lot.randint(0, 4) :]


def cut(lot: random.Random, data: bytes) -> bytes:
    place = lot.randrange(len(data))
    return data[:place] + data[place + lot.randint(1, 64) :]


def longer(lot: random.Random, data: bytes) -> bytes:
    return data + lot.choice((b"\n", b" ", b"\x00", data))


def shuffled(lot: random.Random, data: bytes) -> bytes:
    place = lot.randrange(len(data))
    return data[place:] + data[:place]


def spaced(lot: random.Random, data: bytes) -> bytes:
    """The same JSON with other white space."""
    places = [k for k, byte in enumerate(data) if byte in b" \n,:"] or [0]
    place = lot.choice(places)
    return data[:place] + lot.choice((b" ", b"\t", b"\r\n")) + data[place:]


BYTES: tuple[Mutate, ...] = (flipped, written, cut, longer, shuffled, spaced)


def signed_otherwise(lot: random.Random, data: bytes) -> bytes:
    """The signature's own form is kept: only what it says, or its number, is changed."""
    envelope = json.loads(data)
    dsse = envelope["dsseEnvelope"]
    if lot.random() < 0.5:
        payload = flipped(lot, base64.b64decode(dsse["payload"]))
        dsse["payload"] = base64.b64encode(payload).decode()
    else:
        (one,) = dsse["signatures"]
        one["sig"] = base64.b64encode(flipped(lot, base64.b64decode(one["sig"]))).decode()
    return encode_pretty(envelope)


def mutant(lot: random.Random, bundle: Path) -> Callable[[], object]:
    """Change one thing; what puts it back."""
    names = sorted(path for path in bundle.rglob("*") if path.is_file())
    path = lot.choice(names)
    data = path.read_bytes()
    if path == bundle / SIGNATURE / SIGNED and lot.random() < 0.5:
        changed = signed_otherwise(lot, data)
    else:
        changed = lot.choice(BYTES)(lot, data)
    path.write_bytes(changed if changed != data else data + b"\n")
    return lambda: path.write_bytes(data)


def refused(lot: random.Random, bundle: Path, check: Check, count: int) -> Counter[str]:
    """What refused each of so many mutants, by the words of its error."""
    reasons: Counter[str] = Counter()
    for number in range(count):
        put_back = mutant(lot, bundle)
        try:
            check(bundle)
        except IntegrityError as error:
            reasons[reason(str(error))] += 1
        else:
            pytest.fail(f"mutant {number} was let in")
        put_back()
    assert check(bundle).trust is Trust.VERIFIED
    return reasons


def reason(text: str) -> str:
    for words in ("that was built", "no signature", "that was signed", "signed with the key"):
        if words in text:
            return words
    return "vouches" if "vouches for" in text else "cannot be read"


def test_500_mutants_are_refused(signed: Path, check: Check) -> None:
    found = refused(random.Random(1), signed, check, 500)  # noqa: S311 -- no secret
    assert found.total() == 500
    assert {"that was built", "no signature", "that was signed", "vouches"} <= set(found)


@pytest.mark.long
def test_10_000_mutants_are_refused(signed: Path, check: Check) -> None:
    found = refused(random.Random(2), signed, check, 10_000)  # noqa: S311 -- as above
    print(f"\n10000 mutants, 0 let in; refused as: {dict(found.most_common())}")  # noqa: T201
    assert found.total() == 10_000
