"""A link that is slow, or breaks: bytes between a client and a port of this machine."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PART = 16384


class Proxy:
    """Passes on at most `rate` bytes a second each way; breaks all once `most` went to the port."""

    def __init__(self, port: int, rate: float | None, most: int | None) -> None:
        self._to = port
        self._rate = rate
        self._most = most
        self._sockets: list[socket.socket] = []
        self.passed = 0
        self.connections = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections that stand now."""
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def close(self) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
                there = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                return
            self.connections += 1
            self._sockets += [client, there]
            for pair in ((client, there), (there, client)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_PART):
                if self._rate is not None:
                    time.sleep(len(data) / self._rate)
                sink.sendall(data)
                if sink.getpeername()[1] == self._to:
                    self._count(len(data))
        for one in (source, sink):
            one.close()

    def _count(self, size: int) -> None:
        self.passed += size
        if self._most is not None and self.passed > self._most:
            self._most = None
            self.cut()


@contextmanager
def running_proxy(
    port: int, *, rate: float | None = None, most: int | None = None
) -> Iterator[Proxy]:
    """A proxy to the port that is closed at the end."""
    proxy = Proxy(port, rate, most)
    try:
        yield proxy
    finally:
        proxy.close()
