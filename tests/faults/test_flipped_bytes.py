"""One byte of a bundle or of the store is another: it is refused, wherever the byte is."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import IntegrityError
from deployopt.store.digests import DigestMemo
from deployopt.store.objects import read_object
from deployopt.store.records import read_record
from deployopt.store.verifying import verify_bundle
from tests.fakes.figures import Figures
from tests.faults.builds import DONE, OUTPUT, STORE, Case, bundle_problems, place, said

LEAST_A_FILE = 4
"""Small files would hardly be met by chance."""
REBUILT = 3


class Byte(msgspec.Struct, frozen=True, kw_only=True):
    """One of a file, and what it becomes."""

    path: Path
    at: int
    change: int


@pytest.mark.slow
def test_flipped_bytes(case: Case, tmp_path: Path, figures: Figures) -> None:
    check(case, tmp_path, figures, 500)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_flipped_bytes(case: Case, tmp_path: Path, figures: Figures) -> None:
    check(case, tmp_path, figures, 10_000)


def check(case: Case, tmp_path: Path, figures: Figures, count: int) -> None:
    shutil.copytree(place(case.older.parents[1]), place(tmp_path))
    accepted, bundle = [], 0
    for byte in drawn(place(tmp_path), count):
        name = byte.path.relative_to(place(tmp_path))
        bundle += name.parts[0] == OUTPUT
        data = byte.path.read_bytes()
        byte.path.chmod(0o644)
        byte.path.write_bytes(changed(data, byte))
        if not refused(place(tmp_path), name):
            accepted.append(f"{name} at {byte.at}")
        byte.path.write_bytes(data)
    figures(f"flipped bytes {count} ({bundle} in the bundle), accepted {len(accepted)}")
    assert accepted == []
    assert 0 < bundle < count
    verify_bundle(place(tmp_path) / OUTPUT)  # the refusals were of the bytes, not of the handling


def drawn(folder: Path, count: int) -> list[Byte]:
    """Some of every file, the rest over all bytes alike."""
    lot = random.Random(5)  # noqa: S311 -- no secret
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]
    sizes = [path.stat().st_size for path in files]
    chosen = [path for path in files for _ in range(LEAST_A_FILE)]
    chosen += lot.choices(files, weights=sizes, k=max(0, count - len(chosen)))
    return [
        Byte(path=path, at=lot.randrange(path.stat().st_size), change=lot.randrange(1, 256))
        for path in lot.sample(chosen, count)
    ]


def changed(data: bytes, byte: Byte) -> bytes:
    found = bytearray(data)
    found[byte.at] ^= byte.change
    return bytes(found)


def refused(folder: Path, name: Path) -> bool:
    """Whether what reads this file says so."""
    if name.parts[0] == OUTPUT:
        return fails(lambda: verify_bundle(folder / OUTPUT))
    kind = name.parts[1]
    if kind == "objects":
        path = folder / STORE / "objects" / name.parts[2]
        return fails(lambda: read_object(path, path.name, DigestMemo()))
    assert kind in {"keys", "records"}, name
    return fails(lambda: read_record(folder / name))


def fails(look: Callable[[], object]) -> bool:
    try:
        look()
    except (IntegrityError, ValueError):
        return True
    return False


@pytest.mark.slow
def test_a_build_over_flipped_bytes_makes_them_again(case: Case, tmp_path: Path) -> None:
    """Several in the store at once; the same command ends in the same bundle."""
    lot = random.Random(6)  # noqa: S311 -- no secret
    for turn in range(REBUILT):
        folder = tmp_path / f"{turn}"
        assert case.run(folder) in DONE, said(folder)
        shutil.rmtree(place(folder) / OUTPUT)
        store = place(folder) / STORE
        files = [
            path for path in sorted(store.rglob("*")) if path.is_file() and path.stat().st_size
        ]
        for path in lot.sample(files, 5):
            byte = Byte(path=path, at=lot.randrange(path.stat().st_size), change=1)
            path.chmod(0o644)
            path.write_bytes(changed(path.read_bytes(), byte))
        assert case.run(folder) in DONE, said(folder)
        assert bundle_problems(place(folder) / OUTPUT, {case.digest}) == []
