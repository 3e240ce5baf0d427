"""Mutants of good files: the same number gives the same mutant, on every machine.

In: a good file, and a source of chance. Out: its bytes with a few changes, of the kinds that break
readers: bits, cuts, repetitions, numbers at the edges of their types, texts that repaint terminals.
"""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.fakes.payloads import payloads

TEXTS: Final = (*payloads(120), "../../etc/passwd", "/etc/passwd", "a" * 4096, "\0", "\ud800")
NUMBERS: Final = (
    0, -1, 1, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64,
    10**30, 10**400, 1e308, -1e308, 5e-324, float("inf"), float("-inf"), float("nan"), 1.5,
)  # fmt: skip
CODE: Final = (
    {"auto_map": {"AutoModel": "x--y.Z"}}, {"_attn_implementation": "org/kernel"},
    {"trust_remote_code": True}, {"use_kernels": True},
)  # fmt: skip
_BYTES: Final = (
    b"\0", b"\xff" * 8, b"\xff\xff\xff\xff\x0f", b"\x80" * 10 + b"\x01", b"\x7fELF\x02\x01\x01\0",
    b"MZ\x90\0", b"\xcf\xfa\xed\xfe", b"\x80\x04\x95", b"PK\x03\x04", b"\x1f\x8b\x08",
    b"\xef\xbb\xbf", b"\xff\xfe", b"{" * 300, b"[" * 300, b'"', b"\\u0000", b"\n", b"\r\n",
    b"1e999", b"NaN", b"null",
)  # fmt: skip
_CHANGES_MAX: Final = 6
_REPEATED_MAX: Final = 4096
Chance = random.Random


def chance(kind: str, number: int) -> Chance:
    """The same choices for the same mutant."""
    return random.Random(f"{kind}/{number}")  # noqa: S311 -- no secret


def mutate_bytes(data: bytes, lot: Chance) -> bytes:
    """A few changes of bytes anywhere."""
    changed = bytearray(data)
    for _ in range(lot.randint(1, _CHANGES_MAX)):
        lot.choice(_BYTE_CHANGES)(changed, lot)
    return bytes(changed)


def _flip(data: bytearray, lot: Chance) -> None:
    if data:
        data[lot.randrange(len(data))] ^= 1 << lot.randrange(8)


def _set(data: bytearray, lot: Chance) -> None:
    if data:
        data[lot.randrange(len(data))] = lot.choice((0, 1, 0x7F, 0x80, 0xFF, lot.randrange(256)))


def _insert(data: bytearray, lot: Chance) -> None:
    at = lot.randint(0, len(data))
    data[at:at] = lot.choice(_BYTES)


def _overwrite(data: bytearray, lot: Chance) -> None:
    at, piece = lot.randint(0, len(data)), lot.choice(_BYTES)
    data[at : at + len(piece)] = piece


def _cut(data: bytearray, lot: Chance) -> None:
    start, end = _range(data, lot)
    del data[start:end]


def _truncate(data: bytearray, lot: Chance) -> None:
    del data[lot.randint(0, len(data)) :]


def _repeat(data: bytearray, lot: Chance) -> None:
    start, end = _range(data, lot)
    piece = bytes(data[start : min(end, start + _REPEATED_MAX)])
    data[start:start] = piece * lot.choice((1, 1, 2, 16))


def _move(data: bytearray, lot: Chance) -> None:
    start, end = _range(data, lot)
    piece = bytes(data[start:end])
    del data[start:end]
    at = lot.randint(0, len(data))
    data[at:at] = piece


def _range(data: bytearray, lot: Chance) -> tuple[int, int]:
    start = lot.randint(0, len(data))
    return start, lot.randint(start, min(len(data), start + lot.choice((1, 8, 64, len(data)))))


_BYTE_CHANGES: Final[Sequence[Callable[[bytearray, Chance], None]]] = (
    _flip, _flip, _flip, _set, _set, _insert, _overwrite, _cut, _truncate, _repeat, _move,
)  # fmt: skip


def mutate_json(data: bytes, lot: Chance) -> bytes:
    """A few changes of values, keys and depth; sometimes of the text as well."""
    tree = json.loads(data)
    for _ in range(lot.randint(1, _CHANGES_MAX)):
        tree = _changed(tree, lot)
    text = json.dumps(tree, ensure_ascii=lot.random() < 0.5).encode("utf-8", "surrogatepass")
    return mutate_bytes(text, lot) if lot.random() < 0.2 else text


def hostile_value(lot: Chance) -> Any:
    """What no reader hopes for."""
    kind = lot.randrange(8)
    if kind == 0:
        return lot.choice((None, True, False, "", [], {}))
    if kind in {1, 2}:
        return lot.choice(NUMBERS)
    if kind in {3, 4}:
        return lot.choice(TEXTS)
    if kind == 5:
        return lot.choice(CODE)
    if kind == 6:
        return _nested(lot.choice((8, 40, 200)), lot)
    return [lot.choice((0, "a", None))] * lot.choice((100, 5000))


def _nested(depth: int, lot: Chance) -> Any:
    found: Any = lot.choice((0, "x", {}))
    as_list = lot.random() < 0.5
    for _ in range(depth):
        found = [found] if as_list else {"a": found}
    return found


def _changed(node: Any, lot: Chance) -> Any:
    """The tree with one change, somewhere below or here."""
    if isinstance(node, dict) and node and lot.random() < 0.85:
        key = lot.choice(list(node))
        return _changed_entry(dict(node), key, lot)
    if isinstance(node, list) and node and lot.random() < 0.85:
        at = lot.randrange(len(node))
        if lot.random() < 0.3:
            return node[:at] + [node[at]] * lot.choice((0, 2, 50)) + node[at + 1 :]
        return [*node[:at], _changed(node[at], lot), *node[at + 1 :]]
    return hostile_value(lot)


def _changed_entry(node: dict[str, Any], key: str, lot: Chance) -> dict[str, Any]:
    what = lot.randrange(10)
    if what == 0:
        del node[key]
    elif what == 1:
        node[lot.choice(TEXTS)] = node.pop(key)
    elif what == 2:
        node[lot.choice(("extra", key + "s", key.upper()))] = hostile_value(lot)
    elif what == 3:
        node |= lot.choice(CODE)
    else:
        node[key] = _changed(node[key], lot)
    return node


def mutate_lines(data: bytes, lot: Chance) -> bytes:
    """A few changes of lines, and of what stands behind an equals sign."""
    lines = data.decode("utf-8", "replace").split("\n")
    for _ in range(lot.randint(1, _CHANGES_MAX)):
        at = lot.randrange(len(lines)) if lines else 0
        what = lot.randrange(7)
        if what == 0:
            del lines[at : at + lot.randint(1, 3)]
        elif what == 1:
            lines[at:at] = lines[at : at + 1] * lot.choice((1, 2, 200))
        elif what == 2:
            lines.insert(at, lot.choice(_TOML_LINES))
        elif lines:
            lines[at] = _line(lines[at], lot)
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    return mutate_bytes(text, lot) if lot.random() < 0.2 else text


def _line(line: str, lot: Chance) -> str:
    name, sign, _ = line.partition("=")
    value = hostile_value(lot)
    try:
        written = json.dumps(value, ensure_ascii=lot.random() < 0.5)
    except ValueError:
        written = "nan"
    return f"{name}{sign} {written}" if sign else written


_TOML_LINES: Final = (
    "a" + ".a" * 500 + " = 1", "x = " + "[" * 500, "[" * 300, "[[hardware]]", "[match]", "=", "x",
    'name = "../../x"', "date = 1979-05-27T07:32:00Z", "n = 0x" + "f" * 5000, "f = 1e99999",
    '"\\u202e" = 1', "[hardware.hardware.hardware]", "s = '''" + "x" * 100_000, "# " + "x" * 70_000,
)  # fmt: skip
