"""A signature's folder is put there whole, whatever happens on the way."""

from pathlib import Path

import pytest

from deployopt.core.errors import StorageError
from deployopt.store.paths import SIGNATURE
from deployopt.store.signatures import put_signature
from tests.unit.store.conftest import Publish


def names(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_replaces_the_whole_folder(publish: Publish) -> None:
    bundle = publish({"a": b"1"})
    put_signature(bundle, lambda _: {"x": b"1", "y": b"2"})
    place = put_signature(bundle, lambda _: {"y": b"3"})
    assert names(place) == {"y": b"3"}
    assert place == bundle / SIGNATURE
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_what_fails_while_it_is_made_changes_nothing(publish: Publish) -> None:
    bundle = publish({"a": b"1"})
    put_signature(bundle, lambda _: {"x": b"1"})

    def fail(scratch: Path) -> dict[str, bytes]:
        (scratch / "half").write_bytes(b"")
        raise OSError(5, "Input/output error")

    with pytest.raises(StorageError, match="Input/output"):
        put_signature(bundle, fail)
    assert names(bundle / SIGNATURE) == {"x": b"1"}
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]
