"""Places to share through: a real S3 server in this process, and a file system that misbehaves."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any, ClassVar, Final

import pytest

from deployopt.store.share_place import Place

MISSING: Final = "moto, flask or s3fs is not installed (pip install 'deployopt[share,dev]')"
BUCKET: Final = "deployopt-test"


def there_is_s3() -> bool:
    """Whether the tests with a server can run."""
    return all(find_spec(name) is not None for name in ("moto", "flask", "flask_cors", "s3fs"))


@contextmanager
def s3_server(patch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server with a bucket, known to this process and those that it starts; a URL in it."""
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ):
            patch.setenv(name, value)
        with suppress(FileExistsError):  # all servers of a process have the same buckets
            fsspec.filesystem("s3", skip_instance_cache=True).mkdir(BUCKET)
        yield f"s3://{BUCKET}/{secrets.token_hex(4)}/share"
    finally:
        with suppress(OSError):
            server.stop()


Fault = Callable[[str, str], None]


def none(what: str, path: str) -> None:
    """Nothing is wrong."""


def wrong_system() -> Any:
    """The class of a file system on the disk that does what `faults[0]` says; `wrong:///a/folder`.

    It is asked before each operation: `info`, `read`, `write` (half of the bytes are written
    before it is asked), `move`, `remove`.
    """
    from fsspec.implementations.local import LocalFileSystem

    class WrongSystem(LocalFileSystem):  # type: ignore[misc]
        protocol = "wrong"
        faults: ClassVar[list[Fault]] = [none]

        @classmethod
        def _strip_protocol(cls, path: Any, *rest: Any, **named: Any) -> Any:
            del rest, named
            return os.fspath(path).removeprefix("wrong://").rstrip("/") or "/"

        def info(self, path: Any, **named: Any) -> Any:
            self.faults[0]("info", path)
            return super().info(path, **named)

        def cat_file(self, path: Any, start: Any = None, end: Any = None, **named: Any) -> Any:
            self.faults[0]("read", path)
            return super().cat_file(path, start=start, end=end, **named)

        def pipe_file(self, path: Any, value: Any, mode: str = "overwrite", **named: Any) -> None:
            with self.open(path, "wb") as stream:
                stream.write(value[: len(value) // 2])
                self.faults[0]("write", path)
                stream.write(value[len(value) // 2 :])
            del mode, named

        def put_file(self, lpath: Any, rpath: Any, *rest: Any, **named: Any) -> None:
            del rest, named
            with open(lpath, "rb") as stream:  # noqa: PTH123 -- as fsspec has it
                self.pipe_file(rpath, stream.read())

        def mv(self, path1: Any, path2: Any, *rest: Any, **named: Any) -> None:
            del rest, named
            self.faults[0]("move", path2)
            super().mv(path1, path2)

        def rm_file(self, path: Any) -> None:
            self.faults[0]("remove", path)
            super().rm_file(path)

    return WrongSystem


def wrong_place(folder: object) -> tuple[Place, list[Fault]]:
    """Such a place, and where its fault is set."""
    system = wrong_system()(skip_instance_cache=True)
    return Place(system, str(folder), "wrong", "wrong://share"), system.faults


@contextmanager
def wrong_urls() -> Iterator[list[Fault]]:
    """`wrong://` is known to fsspec; where its fault is set."""
    import fsspec

    system = wrong_system()
    fsspec.register_implementation("wrong", system, clobber=True)
    yield system.faults
