"""`deployopt`: turns what a person typed into a call, and what came back into an exit code."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from deployopt.cli.stopping import RECEIVED, TerminatedError, listen
from deployopt.core.errors import DeployoptError, ExitCode, UsageError
from deployopt.core.text import safe_text

if TYPE_CHECKING:
    import typer

_SHOWN: Final = 200
_ROOMS: Final = (
    "deployopt.cli.commands",
    "deployopt.cli.bundles",
    "deployopt.cli.tending",
    "deployopt.cli.comparing",
    "deployopt.cli.chatting",
    "deployopt.cli.advising",
    "deployopt.cli.distilling",
    "deployopt.cli.emulating",
    "deployopt.cli.doctoring",
    "deployopt.cli.exporting",
    "deployopt.cli.gating",
    "deployopt.cli.matrices",
    "deployopt.cli.packing",
    "deployopt.cli.serving",
    "deployopt.cli.signing",
    "deployopt.cli.training",
)
_KEEPING: Final = frozenset({"build", "plan", "finetune", "distill", "emulate", "matrix"})
"""Commands that find in the store what an earlier call of theirs had finished."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command and leave the process with its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:  # closed by whoever started this
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 -- kept open
    listen()
    sys.exit(int(run(words)))


def run(words: Sequence[str]) -> int:
    """The exit code of one command line; raises nothing."""
    debug = "--debug" in words
    RECEIVED.clear()
    try:
        code = _dispatch([w for w in words if w != "--debug"])
        # A reader that has gone is met here, not when the interpreter ends.
        sys.stdout.flush()
    except (KeyboardInterrupt, TerminatedError) as stop:
        by = signal.SIGTERM if isinstance(stop, TerminatedError) else signal.SIGINT
        return _stopped(by, words)
    except BrokenPipeError:
        _drop_stdout()
        return ExitCode.FAILED
    except Exception as error:  # noqa: BLE001 -- left alone it would end with 1: rejected
        if RECEIVED:  # the stop itself was lost on the way, and this came of it
            if debug:
                traceback.print_exception(error)
            return _stopped(RECEIVED[0], words)
        known = error if isinstance(error, DeployoptError) else _own_fault(error)
        return _explain(known, words, debug=debug)
    return code


def command_line() -> "typer.Typer":
    """Every command, in the order of the help: importing its room puts a command on the app."""
    for room in _ROOMS:
        import_module(room)
    from deployopt.cli.app import app

    return app


def _dispatch(words: Sequence[str]) -> int:
    import typer

    # Typer's own base of all wrong command lines; it is not exported under a name.
    wrong_line: type[Exception] = typer.BadParameter.__mro__[2]
    try:
        result = command_line()(args=list(words), prog_name="deployopt", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.Exit as stop:
        return int(stop.exit_code)
    except SystemExit as stop:
        # Typer ends the process itself: with 1 where the reader of a pipe has gone.
        if isinstance(stop.__context__, BrokenPipeError):
            raise BrokenPipeError from None
        return int(stop.code or 0)
    except wrong_line as error:
        raise UsageError(_line_problem(error)) from error
    if result == ExitCode.INTERRUPTED:
        # So some versions of Typer answer Ctrl-C; others abort.
        raise KeyboardInterrupt
    return int(result or 0)


def _line_problem(error: Exception) -> str:
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "deployopt"
    return f"{message} See `{command} --help`."


def _explain(error: DeployoptError, words: Sequence[str], *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    if "--json" in words:
        from deployopt.core.codec import encode_pretty
        from deployopt.core.result import ErrorResult

        result = ErrorResult(
            error=type(error).__name__, message=str(error), exit_code=int(error.exit_code)
        )
        try:
            sys.stdout.write(encode_pretty(result).decode())
            sys.stdout.flush()
        except OSError:  # of a full disk behind it: an exit code of Python's own would be a verdict
            _drop_stdout()
    from deployopt.reports.terminal import print_error

    print_error(error)
    return error.exit_code


def _drop_stdout() -> None:
    """What is left to be written goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stopped(number: int, words: Sequence[str]) -> ExitCode:
    """Say what is left of a command that was stopped."""
    terminated = number == signal.SIGTERM
    how = "Terminated" if terminated else "Interrupted"
    command = next((word for word in words if not word.startswith("-")), "")
    if command in _KEEPING:
        left = "What was finished is kept; run the same command to go on."
    else:
        left = "Run the same command to begin again."
    sys.stderr.write(f"\n{how}. {left}\n")
    return ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED


def _own_fault(error: Exception) -> DeployoptError:
    """A fault of the program's own, which must not be taken for a verdict."""
    fault = DeployoptError(
        f"deployopt itself failed: {type(error).__name__}: {safe_text(str(error), _SHOWN)}. This "
        "is a bug; run the command with --debug and report what it prints."
    )
    fault.__cause__ = error
    return fault


if __name__ == "__main__":
    main()
