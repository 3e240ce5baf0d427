"""A model hub on loopback: what the real client asks, answered as the real hub answers.

Repositories are folders. Files over LARGE bytes are listed by sha256 and answered by a redirect to
another path, as large files are; small ones carry git's digest of a blob.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest

from tests.fakes.model_folder import sentences

LARGE: Final = 1024
_API: Final = "/api/"
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d+)")
_PIECE: Final = 2**16
_REPOSITORY_PARTS: Final = 4


class FakeHub(ThreadingHTTPServer):
    """Set `gated` or `spoiled` to make it answer as a hub can; `asked` lists all requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.folders: dict[str, Path] = {}
        self.gated: set[str] = set()
        self.spoiled: dict[str, bytes] = {}
        """File name to the bytes that are sent in place of the listed ones."""
        self.asked: list[str] = []
        self.broken = False
        self.ranges = True
        """Whether parts of files are sent where parts are asked for."""
        self.sent: dict[str, int] = {}
        """Bytes that went out, by the file's name."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, repository: str, folder: Path) -> None:
        """`models/ORG/NAME` or `datasets/ORG/NAME`."""
        self.folders[repository] = folder

    def commit(self, repository: str) -> str:
        """40 hex digits that change with the content."""
        digest = hashlib.sha1(usedforsecurity=False)
        folder = self.folders[repository]
        for path in files_of(folder):
            digest.update(path.encode() + (folder / path).read_bytes())
        return digest.hexdigest()


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


@contextmanager
def the_hub(patch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A running one that the client takes for the hub."""
    with running_hub() as hub:
        patch.setenv("HF_ENDPOINT", hub.address)
        patch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        yield hub


class _Answers(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *_parts: object) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith(_API) and path.count("/") < _REPOSITORY_PARTS:
            self._send(404, b"", {}, body=body)  # what the client asks about itself
            return
        self.server.asked.append(f"{self.command} {path}")
        if self.server.broken:
            self._send(500, b"", {}, body=body)
            return
        if path.startswith(_API):
            kind, organisation, name, *rest = path.removeprefix(_API).split("/")
            repository = f"{kind}/{organisation}/{name}"
            if self._known(repository, "/".join(rest[1:]) if rest else "main", body=body):
                self._send(200, _listing(self.server, repository), {}, body=body)
            return
        if path.startswith("/large/"):
            self._file(Path(path.removeprefix("/large")), {}, body=body)
            return
        front, _, back = path.partition("/resolve/")
        repository = front.strip("/")
        if not repository.startswith("datasets/"):
            repository = f"models/{repository}"
        revision, _, name = back.partition("/")
        if self._known(repository, revision, body=body):
            self._resolve(repository, name, body=body)

    def _known(self, repository: str, revision: str, *, body: bool) -> bool:
        if repository not in self.server.folders:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, body=body)
        elif repository in self.server.gated:
            self._send(403, b"", {"X-Error-Code": "GatedRepo"}, body=body)
        elif revision not in ("main", self.server.commit(repository)):
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"}, body=body)
        else:
            return True
        return False

    def _resolve(self, repository: str, name: str, *, body: bool) -> None:
        folder = self.server.folders[repository]
        headers = {"X-Repo-Commit": self.server.commit(repository)}
        if name not in files_of(folder):
            self._send(404, b"", headers | {"X-Error-Code": "EntryNotFound"}, body=body)
            return
        data = (folder / name).read_bytes()
        if len(data) <= LARGE:
            self._file(folder / name, headers, body=body)
            return
        digest = hashlib.sha256(data).hexdigest()
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
        # Another host name, as the store of large files has.
        elsewhere = self.server.address.replace("127.0.0.1", "localhost")
        headers |= {"Location": f"{elsewhere}/large{folder / name}"}
        self._send(302, b"", headers, body=body)

    def _file(self, path: Path, headers: dict[str, str], *, body: bool) -> None:
        data = self.server.spoiled.get(path.name, path.read_bytes())
        status, headers = 200, headers | {"ETag": f'"{_blob(path.read_bytes())}"'}
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        if asked and self.server.ranges:
            first, last = int(asked[1]), min(int(asked[2]), len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            status, data = 206, data[first : last + 1]
        self._send(status, data, headers, body=body, file=path.name)

    def _send(
        self, status: int, data: bytes, headers: dict[str, str], *, body: bool, file: str = ""
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not body:
            return
        sent = self.server.sent
        with suppress(ConnectionError):  # a client may have seen enough
            for at in range(0, len(data), _PIECE):
                piece = data[at : at + _PIECE]
                # Before it goes out: the client may be done before this thread goes on.
                sent[file] = sent.get(file, 0) + len(piece)
                self.wfile.write(piece)
            return
        self.close_connection = True


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _listing(hub: FakeHub, repository: str) -> bytes:
    folder = hub.folders[repository]
    siblings: list[dict[str, object]] = []
    for name in files_of(folder):
        data = (folder / name).read_bytes()
        entry: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": _blob(data)}
        if len(data) > LARGE:
            digest = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 134}
        siblings.append(entry)
    tree = {
        "id": repository.partition("/")[2],
        "sha": hub.commit(repository),
        "siblings": siblings,
        "cardData": {"license": "apache-2.0"},
        "tags": [],
    }
    return json.dumps(tree).encode()


def write_sst2(folder: Path, gate: int = 200, work: int = 400) -> Path:
    """SST-2's columns, class names and file names."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    names = {"label": {"names": ["negative", "positive"], "_type": "ClassLabel"}}
    about = {b"huggingface": json.dumps({"info": {"features": names}}).encode()}
    (folder / "data").mkdir(parents=True)
    for split, rows in {"validation": sentences(gate, 1), "train": sentences(work, 2)}.items():
        texts = [text for text, _ in rows]
        if split == "train":
            # A text of the gate comes back in other words' clothing.
            texts[0] = sentences(gate, 1)[0][0].upper() + " !"
        table = pa.table(
            {
                "idx": pa.array(range(len(rows)), pa.int32()),
                "sentence": texts,
                "label": pa.array([label for _, label in rows], pa.int64()),
            }
        ).replace_schema_metadata(about)
        pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder
