"""What a cell names by a path goes to a node that lacks it, once, and as it was listed."""

import errno
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import IntegrityError, StorageError
from deployopt.core.matrix import CellRequest
from deployopt.pipeline.matrix.digests import Inputs
from deployopt.pipeline.matrix.ray_inputs import Listed, Sender, bring_inputs
from deployopt.store.store import Store
from tests.fakes.cells import cell
from tests.fakes.shares import wrong_urls

pytest.importorskip("fsspec")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


@pytest.fixture
def asked(tmp_path: Path) -> CellRequest:
    """A folder as model, a file as data, and a name that is no path."""
    model = tmp_path / "driver" / "tiny"
    (model / "inner").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "inner" / "part").write_text("x")
    data = tmp_path / "driver" / "data.csv"
    data.write_text("text,label\n")
    found = cell(str(model), store=tmp_path / "store")
    return msgspec.structs.replace(found, data=str(data), train_data="hub:datasets/a/b")


def brought(share: Path, asked: CellRequest, files: Listed, store: Store) -> dict[str, str]:
    return bring_inputs(str(share), {}, Inputs().of(asked), files, store)


def test_what_the_node_lacks_is_brought(shared: Path, asked: CellRequest, tmp_path: Path) -> None:
    files = Sender(str(shared)).sent(asked)
    assert {name: [e.path for e in entries] for name, entries in files.items()} == {
        asked.model: ["tiny/config.json", "tiny/inner/part"],
        asked.data: ["data.csv"],
    }
    with Store(tmp_path / "node") as store:
        places = brought(shared, asked, files, store)
        assert Path(places[asked.model]).name == "tiny"
        assert (Path(places[asked.model]) / "inner" / "part").read_text() == "x"
        assert Path(places[str(asked.data)]).read_text() == "text,label\n"
        assert Path(places[asked.model]).is_relative_to(tmp_path / "node")
        # Once: the share is not read again.
        for path in (shared / "files").iterdir():
            path.unlink()
        assert brought(shared, asked, files, store) == places


def test_what_is_there_with_the_same_bytes_is_not_brought(
    shared: Path, asked: CellRequest, tmp_path: Path
) -> None:
    found = Inputs().of(asked)
    with Store(tmp_path / "node") as store:
        assert bring_inputs(str(shared), found, found, {}, store) == {}
        assert not store.layout.root.exists()


def test_what_is_altered_on_the_way_is_refused(
    shared: Path, asked: CellRequest, tmp_path: Path
) -> None:
    files = Sender(str(shared)).sent(asked)
    sha = files[str(asked.data)][0].sha256
    (shared / "files" / sha).write_text("text,labels")
    with (
        Store(tmp_path / "node") as store,
        pytest.raises(IntegrityError, match=r"What the driver put into the share: 'data\.csv' has"),
    ):
        brought(shared, asked, files, store)


def test_what_may_not_travel_is_named(shared: Path, asked: CellRequest, tmp_path: Path) -> None:
    odd = tmp_path / "driver" / "my data.csv"
    odd.write_text("text,label\n")
    asked = msgspec.structs.replace(asked, data=str(odd))
    files = Sender(str(shared)).sent(asked)
    assert list(files) == [asked.model]
    with (
        Store(tmp_path / "node") as store,
        pytest.raises(IntegrityError, match=r"my data\.csv is not there, and it cannot go through"),
    ):
        brought(shared, asked, files, store)


def test_without_a_share_nothing_is_sent(asked: CellRequest) -> None:
    sender = Sender(None)
    assert sender.sent(asked) == {}
    assert set(sender.digests(asked)) == {asked.model, asked.data}


def test_a_share_that_is_lost_says_how_to_go_on(shared: Path, asked: CellRequest) -> None:
    with wrong_urls() as faults:

        def lost(what: str, path: str) -> None:
            raise ConnectionResetError(
                errno.ECONNRESET, "Connection reset by peer", f"{what}{path}"
            )

        faults[0] = lost
        with pytest.raises(StorageError, match="the same command goes on after it"):
            Sender(f"wrong://{shared}").sent(asked)
