"""The call that answers over HTTP."""

from collections.abc import Callable
from pathlib import Path

from deployopt.core.serving import ServeResult


def serve(  # noqa: PLR0913 -- one call with everything that can be asked, every argument named
    bundle: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    key: str | Path | None = None,
    store: str | Path | None = None,
    max_body: int | None = None,
    max_inputs: int | None = None,
    ready: Callable[[ServeResult], None] = lambda _: None,
) -> None:
    """Answer with a bundle over HTTP until SIGTERM or Ctrl-C; call it in the main thread.

    Args:
        bundle: its folder; of anything but a language model.
        host: the address to listen on; by default only this machine can ask.
        port: 0 for any that is free.
        key: the public key that has to vouch for every byte.
        store: where `verify` remembers the releases that it accepted; by default the user's.
        max_body: bytes of a request's body; by default 8 MiB.
        max_inputs: inputs in one request; by default 32.
        ready: is told where, once it answers.

    Raises:
        UsageError: a language model, or an address that cannot be had.
        IntegrityError: the bundle is not the one that was built, or the key does not vouch for it.
        MissingExtraError: the extra `serve` (or, for a key, `sign`) is not installed.
        DeviceError: the runtime cannot open the model here.
    """
    from deployopt.device.endpoint.limits import Limits
    from deployopt.device.endpoint.server import Address, serve_bundle

    usual = Limits()
    limits = Limits(
        body_bytes=usual.body_bytes if max_body is None else max_body,
        inputs=usual.inputs if max_inputs is None else max_inputs,
    )
    serve_bundle(
        Path(bundle),
        Address(host=host, port=port),
        limits,
        ready,
        key=None if key is None else Path(key),
        store=None if store is None else Path(store),
    )
