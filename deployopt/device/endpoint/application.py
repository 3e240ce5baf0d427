"""The three addresses, as an ASGI application.

In: an open bundle, limits. Out: the application. The model answers one request at a time, as it was
measured, on a thread of its own; `GET /health` is answered meanwhile.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from anyio import CapacityLimiter, fail_after, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from deployopt.core.errors import DeployoptError, UsageError
from deployopt.core.version import VERSION
from deployopt.device.endpoint.bodies import inputs_of
from deployopt.device.endpoint.limits import Limits, RefusedRequestError
from deployopt.device.run import Prediction, Predictor

if TYPE_CHECKING:
    from deployopt.device.run import Given

_JSON: Final = "application/json"
_BUSY: Final = {"Retry-After": "1"}


class Endpoint:
    """One bundle, and who waits for it."""

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self._predictor = predictor
        self._limits = limits
        # A session is not for several threads at once, and was measured one request at a time.
        self._turn = CapacityLimiter(1)
        self._waiting = 0

    async def predict(self, request: Request) -> Response:
        """Answer the inputs of the body."""
        if self._waiting >= self._limits.waiting:
            return _problem(503, "Too many requests are waiting. Ask again in a moment.", _BUSY)
        self._waiting += 1
        try:
            kind = request.headers.get("content-type", "")
            body = await _body(request, self._limits)
            # Images are unpacked there too: what takes time must not keep others waiting.
            work = partial(self._answer, kind, body)
            predictions = await to_thread.run_sync(work, limiter=self._turn)
        except RefusedRequestError as refusal:
            return _problem(refusal.status, refusal.message)
        except ClientDisconnect:
            return Response(status_code=499)
        except UsageError as error:
            return _problem(400, str(error))
        except DeployoptError as error:
            return _problem(500, str(error))
        finally:
            self._waiting -= 1
        return _answer({"predictions": predictions})

    async def health(self, _request: Request) -> Response:
        """Always well: nothing listens before the digests were verified and the model is open."""
        return _answer({"status": "ready"})

    async def metadata(self, _request: Request) -> Response:
        """What answers here."""
        manifest = self._predictor.bundle.manifest
        return _answer(
            {
                "name": manifest.name,
                "target": manifest.target,
                "outcome": manifest.outcome,
                "bundle_digest": manifest.bundle_digest,
                "runtime": manifest.runtime,
                "precision": manifest.precision,
                "threads": self._predictor.bundle.setup.threads,
                "task": manifest.interface.task,
                "inputs": manifest.interface.inputs,
                "labels": manifest.interface.labels,
                "limits": self._limits,
                "served_by": f"deployopt {VERSION}",
            }
        )

    def _answer(self, kind: str, body: bytes) -> Sequence[Prediction]:
        interface = self._predictor.interface
        given: list[Given] = inputs_of(interface, kind, body, self._limits.inputs)
        return self._predictor.predict(given)


def application(predictor: Predictor, limits: Limits) -> Starlette:
    """The application of one bundle."""
    endpoint = Endpoint(predictor, limits)
    return Starlette(
        routes=[
            Route("/predict", endpoint.predict, methods=["POST"]),
            Route("/health", endpoint.health, methods=["GET"]),
            Route("/metadata", endpoint.metadata, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _unknown, 500: _failed},
    )


async def _body(request: Request, limits: Limits) -> bytes:
    """All of it, but no more than is allowed, whatever the request says of its length."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.body_bytes:
        raise _too_large(limits)
    parts: list[bytes] = []
    size = 0
    try:
        with fail_after(limits.body_s):
            async for part in request.stream():
                size += len(part)
                if size > limits.body_bytes:
                    raise _too_large(limits)
                parts.append(part)
    except TimeoutError as error:
        raise RefusedRequestError(408, "The body did not come in time.") from error
    return b"".join(parts)


def _too_large(limits: Limits) -> RefusedRequestError:
    return RefusedRequestError(413, f"A body may have {limits.body_bytes} bytes.")


async def _unknown(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return _problem(500, "The server failed.")
    known = "There are POST /predict, GET /health and GET /metadata."
    return _problem(error.status_code, f"{error.detail}. {known}", error.headers)


async def _failed(_request: Request, _error: Exception) -> Response:
    return _problem(500, "The server failed; its log says how.")


def _answer(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type=_JSON)


def _problem(status: int, message: str, headers: object = None) -> Response:
    given = dict(headers) if isinstance(headers, dict) else None
    data = msgspec.json.encode({"error": message})
    return Response(data, status_code=status, headers=given, media_type=_JSON)
