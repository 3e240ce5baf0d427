"""A process that answers with one bundle until it is asked to stop.

In: a bundle, an address. Out: nothing; it returns when SIGTERM or Ctrl-C came and the requests
under way were answered. The address is taken first, and listened on only when every digest was
verified and the model is open. Refuses a language model, and an address that cannot be had.
"""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from deployopt.core.errors import MissingExtraError, UsageError
from deployopt.core.serving import ServeResult
from deployopt.device.endpoint.limits import Limits
from deployopt.device.run import Predictor

_GRACE_S: Final = 10
_CONNECTIONS: Final = 256
_PORT_MAX: Final = 65_535


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen; port 0 is any that is free."""

    host: str = "127.0.0.1"
    port: int = 8000


def serve_bundle(
    bundle: Path,
    address: Address,
    limits: Limits,
    ready: Callable[[ServeResult], None],
    *,
    key: Path | None = None,
    store: Path | None = None,
) -> None:
    """Answer until asked to stop; `ready` is told where, once it can.

    Raises:
        UsageError: a language model, or an address that cannot be had.
        IntegrityError: the bundle is not the one that was built, or the key does not vouch for it.
        MissingExtraError: the extra `serve` is not installed.
        DeviceError: the runtime cannot open the model here.
    """
    _require_extra()
    with closing(_taken(address)) as taken:
        predictor = Predictor.open(bundle, key=key, store=store)
        if predictor.interface.generates:
            raise UsageError(
                f"{bundle} holds a language model, and `serve` answers with classifiers and plain "
                "graphs. `deployopt chat` talks with it; `deployopt export BUNDLE OUT --as vllm` "
                "writes it for a server."
            )
        if predictor.interface.pairs:
            raise UsageError(
                f"{bundle} holds an image-text model, which takes images and texts together, and "
                "`serve` answers with models of one input. `deployopt run` answers with it; built "
                "with --labels it is a classifier that can be served."
            )
        if predictor.interface.draws:
            raise UsageError(
                f"{bundle} draws images, which takes far longer than a request may, and `serve` "
                "answers with classifiers, detectors and plain graphs. `deployopt run BUNDLE "
                '"a prompt" --output FILE.png` draws with it.'
            )
        manifest = predictor.bundle.manifest
        result = ServeResult(
            url=_url(taken),
            bundle=str(bundle),
            name=manifest.name,
            bundle_digest=manifest.bundle_digest,
            outcome=manifest.outcome,
            threads=predictor.bundle.setup.threads,
        )
        _run(predictor, limits, taken, lambda: ready(result))


def _require_extra() -> None:
    try:
        import starlette
        import uvicorn  # noqa: F401 -- both are asked for before anything is done
    except ImportError as error:
        raise MissingExtraError("Serving a bundle", "serve") from error
    del starlette


def _taken(address: Address) -> socket.socket:
    """A socket that nobody can connect to yet."""
    if not 0 <= address.port <= _PORT_MAX:
        raise UsageError(f"--port {address.port} is none: ports are 0 to {_PORT_MAX}.")
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, number, _, where = found[0]
        taken = socket.socket(family, kind, number)
        try:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(where)
        except OSError:
            taken.close()
            raise
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"Nothing can listen on {address.host}, port {address.port}: "
            f"{getattr(error, 'strerror', None) or error}. Name another with --host and --port."
        ) from error
    return taken


def _url(taken: socket.socket) -> str:
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _run(
    predictor: Predictor, limits: Limits, taken: socket.socket, ready: Callable[[], None]
) -> None:
    import uvicorn

    from deployopt.device.endpoint.application import application

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:  # noqa: ANN401 -- uvicorn's own
            await super().startup(sockets)
            ready()

    config = uvicorn.Config(
        application(predictor, limits),
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=_GRACE_S,
    )
    with _heeded_by_the_server():
        Server(config).run(sockets=[taken])


@contextmanager
def _heeded_by_the_server() -> Iterator[None]:
    """Within, a signal ends the server alone: it raises it again, for whoever came before it."""
    # In another thread Python heeds no signals, and the server is asked for none.
    own = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGTERM, signal.SIGINT) if own else ()
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in before:
            signal.signal(number, lambda *_: None)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
