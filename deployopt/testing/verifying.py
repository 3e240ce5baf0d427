"""Verify a bundle once a run of pytest, however many processes test.

In: a bundle. Out: the result of `verify`, or the error it ended with, the same for every test.
Workers of pytest-xdist share it through a folder that is theirs; the first one measures and the
others wait.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.errors import DeployoptError, ExitCode
from deployopt.core.result import ErrorResult, VerifyResult
from deployopt.store.locks import lock_file
from deployopt.store.staging import staged_folder
from deployopt.store.writing import atomic_write_bytes

_WAIT_S: Final = 3600.0
_BESIDE: Final = (
    "Other workers were testing while this was measured; for a quiet measurement run it alone, "
    "without -n."
)


class VerifyingError(DeployoptError):
    """Verification ended in an error, here or in another worker."""


class _Shared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the first worker leaves for the others; exactly one is there."""

    result: VerifyResult | None = None
    error: ErrorResult | None = None


class Once:
    """A bundle, and what verifying it gave, when it was first asked for."""

    def __init__(
        self, *, bundle: Path, proxy: bool, accept_predicted: bool, shared: str | None
    ) -> None:
        self.bundle = bundle
        self._proxy = proxy
        self._accept_predicted = accept_predicted
        self._shared = None if shared is None else Path(shared)
        self._found: _Shared | None = None

    def share(self, add_cleanup: Callable[[Callable[[], None]], object]) -> Path:
        """A folder for the workers, which goes when the run ends; made in the first call."""
        if self._shared is None:
            stack = ExitStack()
            self._shared = stack.enter_context(staged_folder(Path(tempfile.gettempdir())))
            add_cleanup(stack.close)
        return self._shared

    @property
    def beside(self) -> str:
        """What is to be said of the machine's quiet, if anything."""
        return "" if self._shared is None else _BESIDE

    def result(self) -> VerifyResult:
        """What `verify` found.

        Raises:
            VerifyingError: it ended in an error.
        """
        if self._found is None:
            self._found = self._verified() if self._shared is None else self._in_turn(self._shared)
        if self._found.result is None:
            error = self._found.error
            raise VerifyingError("" if error is None else f"{error.error}: {error.message}")
        return self._found.result

    def _in_turn(self, shared: Path) -> _Shared:
        """The first worker's finding; a worker that cannot reach the folder verifies by itself."""
        if not shared.is_dir():
            return self._verified()
        path = shared / "found.json"
        with lock_file(shared / "lock", timeout_s=_WAIT_S):
            if path.is_file():
                return decode_json(path.read_bytes(), _Shared, where=str(path))
            found = self._verified()
            atomic_write_bytes(path, encode_json(found))
            return found

    def _verified(self) -> _Shared:
        from deployopt.device.verify import verify

        try:
            result = verify(self.bundle, proxy=self._proxy, accept_predicted=self._accept_predicted)
        except DeployoptError as error:
            told = ErrorResult(
                error=type(error).__name__,
                message=str(error).replace("--proxy", "--deployopt-proxy"),
                exit_code=int(error.exit_code or ExitCode.FAILED),
            )
            return _Shared(error=told)
        return _Shared(result=result)
