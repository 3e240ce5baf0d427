"""What a request may ask for, and what is answered to one that may not."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Of one server."""

    body_bytes: int = 8 * 2**20
    inputs: int = 32
    """In one request."""
    waiting: int = 64
    """Requests that wait for their turn; more are sent away with 503."""
    body_s: float = 30.0
    """For a whole body to come."""


class RefusedRequestError(Exception):
    """A request that is not answered: its HTTP status, and one sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
