"""Disjoint splits of labelled data, by content.

In: one content key an example (its text, or the bytes of its image or array) and the share of each
split. Out: the indices of each split, with a digest. Texts that are near-duplicates form one
group, and a group lies in one split whole, so a text that was trained on, calibrated with or
chosen by cannot come back, slightly changed, at the gate. The assignment depends on contents
alone: the order of the rows does not matter, and a row that is appended moves no other row unless
it joins its group. Refuses shares that do not sum to one.
"""

import hashlib
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from deployopt.core.errors import UsageError

IndexArray = NDArray[np.int64]

SHINGLE_WORDS: Final = 3
BANDS: Final = 16
ROWS: Final = 4
# Share of equal MinHash values, an estimate of the Jaccard similarity of the shingle sets.
NEAR: Final = 0.6
_CHUNK: Final = 4096
_WORD: Final = re.compile(r"[^\W_]+")


class Splits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which examples are in which split.

    `indices` holds, for each split, positions in the given keys, in an order that depends on
    contents alone, so that the first n are a fair and repeatable sample. `digests` holds the
    sha256 of each split's contents. `largest_group` is the size of the largest group of
    near-duplicates, of `groups` in all.
    """

    indices: Mapping[str, IndexArray]
    digests: Mapping[str, str]
    groups: int
    largest_group: int


def assign_splits(
    keys: Sequence[str] | Sequence[bytes], *, shares: Mapping[str, float], salt: str
) -> Splits:
    """Put each key in one split: texts by groups of near-duplicates, bytes by identity.

    Raises:
        UsageError: the shares are not positive numbers that sum to one.
    """
    _check_shares(shares)
    found = _grouped(keys)
    order, groups, contents = found.order, found.groups, found.contents
    chosen = _choose(found.identity, groups, shares, salt)
    indices = {name: order[chosen[order] == at] for at, name in enumerate(shares)}
    sizes = np.bincount(groups) if len(keys) else np.zeros(1, dtype=np.int64)
    return Splits(
        indices=indices,
        digests={name: _digest(contents, rows) for name, rows in indices.items()},
        groups=int(np.count_nonzero(sizes)),
        largest_group=int(sizes.max()),
    )


def alike(keys: Sequence[str] | Sequence[bytes]) -> IndexArray:
    """Label every key with its group: near-duplicate texts have the same label, and equal bytes."""
    return _grouped(keys).groups


class _Grouped(NamedTuple):
    """Of every key: the sha256 of its normal form and of itself, and the label of its group.

    `order` holds the positions in the order of these digests.
    """

    identity: list[bytes]
    contents: list[bytes]
    order: IndexArray
    groups: IndexArray


def _grouped(keys: Sequence[str] | Sequence[bytes]) -> _Grouped:
    forms = [_normal_form(key) if isinstance(key, str) else key for key in keys]
    identity = [hashlib.sha256(_bytes(form)).digest() for form in forms]
    contents = [hashlib.sha256(_bytes(key)).digest() for key in keys]
    ranked = sorted(range(len(keys)), key=lambda row: (identity[row], contents[row]))
    order = np.array(ranked, dtype=np.int64)
    groups = _identical(identity, order)
    texts = [form for form in forms if isinstance(form, str)]
    if texts:
        groups = _near_duplicates(texts, groups, order)
    return _Grouped(identity=identity, contents=contents, order=order, groups=groups)


def _check_shares(shares: Mapping[str, float]) -> None:
    wrong = not shares or any(not share > 0 for share in shares.values())
    if wrong or not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-9):
        raise UsageError(
            f"The shares of the splits are {dict(shares)}; each must be above zero and together "
            "they must be 1."
        )


def _bytes(key: str | bytes) -> bytes:
    # A lone surrogate, which JSON can hold, is content like any other.
    return key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key


def _normal_form(text: str) -> str:
    """Words without case, punctuation or Unicode variants; the whole text where it has no word."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_WORD.findall(folded)) or folded.strip()


def _identical(identity: list[bytes], order: IndexArray) -> IndexArray:
    """Label every example with the first position, in content order, of its identical form."""
    first: dict[bytes, int] = {}
    labels = np.empty(len(identity), dtype=np.int64)
    for position in order.tolist():
        labels[position] = first.setdefault(identity[position], position)
    return labels


def _choose(
    identity: list[bytes], groups: IndexArray, shares: Mapping[str, float], salt: str
) -> IndexArray:
    """Map every group to a split by the hash of its least member, which no row order changes."""
    least: dict[int, bytes] = {}
    for label, digest in zip(groups.tolist(), identity, strict=True):
        least[label] = min(digest, least.get(label, digest))
    edges = np.cumsum(list(shares.values()))[:-1]
    places = {
        label: int(np.searchsorted(edges, _uniform(salt, digest), side="right"))
        for label, digest in least.items()
    }
    return np.array([places[label] for label in groups.tolist()], dtype=np.int64)


def _uniform(salt: str, digest: bytes) -> float:
    """A number in [0, 1) that depends on the salt and the digest alone."""
    drawn = hashlib.sha256(salt.encode() + b"\0" + digest).digest()
    return (int.from_bytes(drawn[:8], "big") >> 11) / 2.0**53


def _digest(contents: list[bytes], rows: IndexArray) -> str:
    """The sha256 over the sorted digests of the contents, so row order does not matter."""
    return hashlib.sha256(b"".join(sorted(contents[row] for row in rows.tolist()))).hexdigest()


def _near_duplicates(forms: list[str], groups: IndexArray, order: IndexArray) -> IndexArray:
    """Join groups whose texts share most of their shingles (MinHash, banded)."""
    kept = order[groups[order] == order]
    signatures = _signatures([forms[position] for position in kept.tolist()])
    left, right = _candidate_pairs(signatures)
    near = np.mean(signatures[left] == signatures[right], axis=1) >= NEAR
    roots = _components(len(kept), left[near], right[near])
    renamed = np.zeros(len(forms), dtype=np.int64)
    renamed[kept] = kept[roots]
    return renamed[groups]


def _signatures(forms: list[str]) -> NDArray[np.uint64]:
    """MinHash values, one row a text, BANDS x ROWS columns."""
    rng = np.random.default_rng(20140514)
    factors = rng.integers(0, 2**64, BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
    offsets = rng.integers(0, 2**64, BANDS * ROWS, dtype=np.uint64)
    numbers: dict[str, int] = {}
    signatures = np.empty((len(forms), BANDS * ROWS), dtype=np.uint64)
    for start in range(0, len(forms), _CHUNK):
        shingles, starts = _shingles(forms[start : start + _CHUNK], numbers)
        for column in range(BANDS * ROWS):
            mixed = _mix(shingles * factors[column] + offsets[column])
            rows = slice(start, start + len(starts))
            signatures[rows, column] = np.minimum.reduceat(mixed, starts)
    return signatures


def _shingles(
    forms: list[str], numbers: dict[str, int]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of all runs of SHINGLE_WORDS words, and where each text's begin."""
    lines = [form.split(" ") for form in forms]
    # Texts shorter than a shingle count as one, made whole by marks no word can be.
    padded = [line + ["\0"] * (SHINGLE_WORDS - len(line)) for line in lines]
    words = [_word_number(word, numbers) for line in padded for word in line]
    flat = np.array(words, dtype=np.uint64)
    lengths = np.array([len(line) for line in padded], dtype=np.int64)
    counts = lengths - (SHINGLE_WORDS - 1)
    starts = np.cumsum(counts) - counts
    shift = np.arange(counts.sum()) - np.repeat(starts, counts)
    at = np.repeat(np.cumsum(lengths) - lengths, counts) + shift
    hashes = flat[at]
    for step in range(1, SHINGLE_WORDS):
        hashes = _mix(hashes) + flat[at + step]
    return _mix(hashes), starts


def _word_number(word: str, numbers: dict[str, int]) -> int:
    found = numbers.get(word)
    if found is None:
        found = int.from_bytes(hashlib.blake2b(_bytes(word), digest_size=8).digest(), "big")
        numbers[word] = found
    return found


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of splitmix64: every bit of the result depends on every bit given."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _candidate_pairs(signatures: NDArray[np.uint64]) -> tuple[IndexArray, IndexArray]:
    """Pairs with one band alike: each text with the first and with the one before in its bucket.

    Rows come in content order and the sort is stable, so the pairs do not depend on input order.
    """
    left: list[IndexArray] = [np.zeros(0, dtype=np.int64)]
    right: list[IndexArray] = [np.zeros(0, dtype=np.int64)]
    for band in range(BANDS):
        values = np.zeros(len(signatures), dtype=np.uint64)
        for column in range(band * ROWS, (band + 1) * ROWS):
            values = _mix(values) + signatures[:, column]
        rows = np.argsort(values, kind="stable")
        ordered = values[rows]
        same = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        first = np.searchsorted(ordered, ordered[same], side="left")
        left += [rows[same - 1], rows[first]]
        right += [rows[same], rows[same]]
    return np.concatenate(left), np.concatenate(right)


def _components(count: int, left: IndexArray, right: IndexArray) -> IndexArray:
    """The least member of every node's connected component."""
    roots = np.arange(count, dtype=np.int64)
    while True:
        before = roots.copy()
        least = np.minimum(roots[left], roots[right])
        np.minimum.at(roots, left, least)
        np.minimum.at(roots, right, least)
        # Hooking the old roots too makes long chains close in a few rounds.
        np.minimum.at(roots, before[left], least)
        np.minimum.at(roots, before[right], least)
        roots = roots[roots]
        if np.array_equal(before, roots):
            return roots
