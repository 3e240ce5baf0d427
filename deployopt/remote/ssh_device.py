"""A device that is reached with the system's OpenSSH client.

In: an address. Out: a Device like any other: what a request names is sent, if the device lacks it,
a fresh child there answers, and what it wrote is brought back. A connection that is lost is made
again and the request asked again; a device that was restarted, or is another one, is an error.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from deployopt.core.codec import encode_json
from deployopt.core.diagnosis import Finding
from deployopt.core.errors import DeviceError, IntegrityError, UnreachableError
from deployopt.core.measurement import Machine
from deployopt.core.watching import SILENT, Watcher
from deployopt.device.device import Signs, unheard
from deployopt.device.protocol import (
    Asking,
    Evaluated,
    Failed,
    Request,
    Timed,
    Timing,
    Working,
)
from deployopt.device.serving_words import (
    Answer,
    Answers,
    Ask,
    AskInTurns,
    CheckedUp,
    bound_to,
    decode_word,
)
from deployopt.device.setup import Limits
from deployopt.remote.address import Address, parse_address
from deployopt.remote.facts import clock_words
from deployopt.remote.link import LostError, RefusedError, error_of
from deployopt.remote.packing import Code
from deployopt.remote.sending import send_missing
from deployopt.remote.session import Session, Wish, open_session
from deployopt.remote.ssh import Settings, last_words, settings_here, unreachable
from deployopt.remote.travelling import Travelling, made_ready
from deployopt.store.digests import DigestMemo
from deployopt.store.faults import storage_errors
from deployopt.store.layout import default_root
from deployopt.store.staging import sweep
from deployopt.store.writing import make_folders, new_file

ATTEMPTS: Final = 3
"""How often one request is asked when its connection is lost."""
DELAYS_S: Final = (0.5, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Between attempts to reach a device again: somewhat longer than a small board takes to start."""
_GRACE_S: Final = 30.0
"""The device's own limits come first, and it says what happened."""
_LIMITS_S: Final = 60.0
_RESULT_BYTES_MAX: Final = 2**30
_T = TypeVar("_T")


@contextmanager
def connected(
    url: str,
    *,
    arch: str | None = None,
    packages: Sequence[str] = (),
    settings: Settings | None = None,
    watcher: Watcher = SILENT,
    claim: str = "",
) -> Iterator["SshDevice"]:
    """Reach the device at `ssh://[user@]host[:port]`, furnish it, and hold it.

    `arch` is the target's: another one is refused before anything is installed. `packages` are
    requirements that the install there must meet as well, such as the target's range of runtimes.
    `settings` are the environment's by default: DEPLOYOPT_SSH_CONFIG, DEPLOYOPT_DEVICE_PYTHON.
    `claim` is the token of the call that holds the device (remote/holding.py).

    Raises:
        UsageError: the address is none, or the device is of another architecture.
        UnreachableError: it cannot be reached, or cannot be used, and what to do about it.
        StorageError: the disk here or there is full.
    """
    address = parse_address(url)
    scratch = default_root() / "staging"
    with storage_errors("making a folder", scratch):
        make_folders(scratch)
        sweep(scratch)
    wish = Wish(
        address=address,
        settings=settings or settings_here(),
        code=Code(),
        arch=arch,
        packages=tuple(packages),
        scratch=scratch,
        claim=claim,
    )
    watcher.stage("Device")
    device = SshDevice(wish, lambda sign: watcher.advance(sign.share, sign.what))
    try:
        for sentence in device.doubts:
            watcher.note(sentence)
        yield device
    finally:
        device.close()


class SshDevice:
    """One connection and one server, held from the first request to the last."""

    def __init__(self, wish: Wish, signs: Signs = unheard) -> None:
        self._wish = wish
        self._memo = DigestMemo()
        self._known: set[str] = set()
        self._first = _reached(wish, signs)
        self._session: Session | None = self._first

    @property
    def where(self) -> str:
        """Its address."""
        return str(self._address)

    @property
    def machine(self) -> Machine:
        """As it was when it was first reached."""
        return self._first.ready.machine

    @property
    def doubts(self) -> tuple[str, ...]:
        """What may spoil measurements there, in sentences."""
        ready, found = self._first.ready, []
        if ready.throttled:
            found.append(
                f"{self.where} is throttled now, by heat or too little voltage: rounds will not "
                "count until that ends."
            )
        governor = ready.machine.governor
        if governor not in {None, "performance"}:
            found.append(
                f"The frequency governor of {self.where} is {governor!r}; `performance` measures "
                "more evenly."
            )
        clock = clock_words(self._first.facts, time.clock_gettime(time.CLOCK_REALTIME))
        return tuple(found) if clock is None else (*found, clock)

    @property
    def _address(self) -> Address:
        return self._wish.address

    def limits(self) -> Limits:
        """By the memory that is free there now."""

        def ask(session: Session) -> Limits:
            return decode_word(session.link.ask("limits", None, "limits", _LIMITS_S), Limits)

        return self._insisting(ask, unheard)

    def check_up(self) -> tuple[Finding, ...]:
        """What spoils measurements there now; takes a second."""

        def ask(session: Session) -> CheckedUp:
            body = session.link.ask("check-up", None, "checked-up", _LIMITS_S)
            return decode_word(body, CheckedUp)

        return self._insisting(ask, unheard).findings

    def ask(self, request: Request, limits: Limits, signs: Signs = unheard) -> Timed | Evaluated:
        """Send what is missing, ask, and bring back what was written; as Device.ask raises."""
        travelling = made_ready(request, self._memo)
        result = request.result if isinstance(request, Asking) else None

        def ask(session: Session) -> Timed | Evaluated:
            self._send(session, [travelling], signs)
            return _asked(session, travelling, limits, signs, result)

        return self._insisting(ask, signs)

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        """Send what is missing, and let fresh children there take turns."""
        travelling = [made_ready(request, self._memo) for request in requests]

        def ask(session: Session) -> tuple[Timed | DeviceError, ...]:
            self._send(session, travelling, signs)
            return _asked_in_turns(session, travelling, limits, signs)

        return self._insisting(ask, signs)

    def _send(self, session: Session, travelling: Sequence[Travelling], signs: Signs) -> None:
        """What these requests name and the device lacks."""
        named = {file.sha256: file for one in travelling for file in one.files.values()}
        files = [file for digest, file in named.items() if digest not in self._known]
        if files:
            send_missing(session.link, files, signs)
            self._known |= {file.sha256 for file in files}

    def close(self) -> None:
        """Let the device go: its server ends with the connection."""
        if self._session is not None:
            self._session.link.close()
        self._session = None
        self._known.clear()

    def _insisting(self, ask: Callable[[Session], _T], signs: Signs) -> _T:
        """Ask, and ask again over a new connection where the old one is lost."""
        lost: LostError | None = None
        for _ in range(ATTEMPTS):
            try:
                return ask(self._held(signs))
            except LostError as error:
                self.close()
                lost = error
                if error.silent:
                    # It hangs; waiting as long again would not wake it.
                    break
            except RefusedError as error:
                # Another connection may have cleared the device's store of files.
                if error.kind != "missing":
                    raise error_of(error) from error
                self._known.clear()
            except BaseException:
                # What is still on its way would be taken for the next answer.
                self.close()
                raise
        if lost is None:
            raise UnreachableError(f"{self.where} forgets files as soon as they are there.")
        said = last_words(lost.said)
        raise UnreachableError(
            f"The connection to {self.where} was lost in the middle of a measurement, and asking "
            f"again did not help: {said} What runs there ends with the connection."
        ) from lost

    def _held(self, signs: Signs) -> Session:
        """The connection, made again where it was lost."""
        if self._session is not None:
            return self._session
        lost: LostError | None = None
        for delay in DELAYS_S:
            signs(Working(share=0.0, what=f"connecting again to {self.where}"))
            time.sleep(delay)
            try:
                session = open_session(self._wish, unheard)
            except LostError as error:
                lost = error
                continue
            self._session = session
            self._require_same(session)
            return session
        raise UnreachableError(
            f"The connection to {self.where} was lost, and it could not be reached again: "
            f"{last_words(lost.said if lost else '')}"
        ) from lost

    def _require_same(self, session: Session) -> None:
        first = self._first
        if session.facts.boot != first.facts.boot:
            raise UnreachableError(
                f"{self.where} was restarted while it was measured. A power supply that is too "
                "weak does that when all cores work. What was measured before does not count; see "
                "to its power and cooling, and start again."
            )
        if _identity(session.ready.machine) != _identity(first.ready.machine):
            raise UnreachableError(f"Another machine answers at {self.where} now. Start again.")


def _reached(wish: Wish, signs: Signs) -> Session:
    """The first connection; one that breaks while files are brought is made again."""
    attempts = 0
    while True:
        attempts += 1
        try:
            return open_session(wish, signs)
        except LostError as error:
            if not error.broken or attempts == ATTEMPTS:
                raise unreachable(wish.address, error.code, error.said) from error


def _asked(
    session: Session,
    travelling: Travelling,
    limits: Limits,
    signs: Signs,
    result: Path | None,
) -> Timed | Evaluated:
    """One question; the answer must be bound to it."""
    quiet_s, sign = limits.quiet_s + _GRACE_S, _until(limits.wall_s, signs)
    question = travelling.ask(limits)
    answer = decode_word(session.link.ask("ask", question, "answer", quiet_s, sign), Answer)
    _require_bound(session, question, answer.bound)
    if (result is None) != (answer.size == 0) or answer.size > _RESULT_BYTES_MAX:
        raise IntegrityError("The device's answer comes with a file that was not asked for.")
    if result is not None:
        _bring(session, answer, result)
    return answer.reply


def _asked_in_turns(
    session: Session, travelling: Sequence[Travelling], limits: Limits, signs: Signs
) -> tuple[Timed | DeviceError, ...]:
    """One question for all of them, as they share the device."""
    most_s = len(travelling) * limits.wall_s
    question = AskInTurns(asks=tuple(one.ask(limits) for one in travelling), limits=limits)
    quiet_s, sign = limits.quiet_s + _GRACE_S, _until(most_s, signs)
    body = session.link.ask("ask-in-turns", question, "answers", quiet_s, sign)
    answers = decode_word(body, Answers)
    _require_bound(session, question, answers.bound)
    if len(answers.replies) != len(travelling):
        raise IntegrityError("The device did not answer all that was asked.")
    return tuple(
        DeviceError(reply.message) if isinstance(reply, Failed) else reply
        for reply in answers.replies
    )


def _until(wall_s: float, signs: Signs) -> Signs:
    """Pass signs on for so long; later ones are of a model that was not stopped."""
    deadline = time.monotonic() + wall_s + _GRACE_S

    def sign(working: Working) -> None:
        if time.monotonic() > deadline:
            raise UnreachableError(f"The device did not stop the model after {wall_s:g} s.")
        signs(working)

    return sign


def _require_bound(session: Session, question: Ask | AskInTurns, bound: str) -> None:
    if bound != bound_to(session.nonce, session.link.number, encode_json(question)):
        raise IntegrityError("The device's answer is not of the files that were asked about.")


def _bring(session: Session, answer: Answer, result: Path) -> None:
    digest = hashlib.sha256()
    result.unlink(missing_ok=True)
    with storage_errors("writing answers", result), new_file(result) as stream:
        for chunk in session.link.chunks(answer.size, _GRACE_S):
            digest.update(chunk)
            stream.write(chunk)
    if digest.hexdigest() != answer.sha256:
        raise IntegrityError("The device's answers came with other bytes than announced.")


def _identity(machine: Machine) -> tuple[object, ...]:
    return (machine.arch, machine.cpu, machine.board, machine.cores, machine.memory_bytes)
