"""What was typed becomes a call, and what came back an exit code, never a traceback."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest

from deployopt import api
from deployopt.cli.main import command_line, run
from deployopt.cli.stopping import TerminatedError
from deployopt.core import errors
from deployopt.core.errors import DeployoptError, ExitCode, MissingExtraError, UsageError
from deployopt.core.result import ErrorResult
from deployopt.core.version import VERSION

ROOT = Path(__file__).parents[3]
COMMANDS = (
    "matrix",
    "sign",
    "pack",
    "unpack",
    "build",
    "chat",
    "plan",
    "fit",
    "recommend",
    "finetune",
    "distill",
    "verify",
    "compare",
    "export",
    "gate",
    "run",
    "serve",
    "targets",
    "detect",
    "doctor",
    "emulate",
    "report",
    "gc",
)
CODES = {
    "UsageError": 2,
    "CannotFitError": 1,
    "IntegrityError": 4,
    "RefusedInputError": 4,
    "StepError": 5,
    "TrainingError": 5,
    "DeviceError": 5,
    "UnreachableError": 5,
    "StorageError": 5,
    "SourceError": 5,
    "MissingExtraError": 2,
}
PLAN = ["plan", "--target", "rpi4", "--model", "demo-sentiment"]
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(ROOT),
    "PYTHONDONTWRITEBYTECODE": "1",
    "COLUMNS": "80",
}


def raise_from_plan(patch: pytest.MonkeyPatch, error: BaseException) -> None:
    """`deployopt plan` ends in this error."""

    def plan(**_: object) -> NoReturn:
        raise error

    patch.setattr(api, "plan", plan)


def kinds(base: type[DeployoptError] = DeployoptError) -> Iterator[type[DeployoptError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_kind_of_error_is_in_the_table() -> None:
    found = {kind.__name__ for kind in kinds() if kind.__module__ == errors.__name__}
    assert found == set(CODES)


@pytest.mark.parametrize("name", CODES)
def test_an_error_ends_with_its_code_and_one_paragraph(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = getattr(errors, name)
    error = kind("This", "build") if kind is MissingExtraError else kind("This is wrong. Do that.")
    raise_from_plan(monkeypatch, error)
    assert run(PLAN) == CODES[name]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert " ".join(shown.err.split()) == f"error: {error}"
    assert "\n\n" not in shown.err.strip()


def test_json_gives_the_error_as_one_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raise_from_plan(monkeypatch, UsageError("No."))
    assert run([*PLAN, "--json"]) == ExitCode.USAGE
    found = msgspec.json.decode(capsys.readouterr().out, type=ErrorResult)
    assert found == ErrorResult(error="UsageError", message="No.", exit_code=2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    ("words", "code"), [("--nothing", 2), ("targets", 5)], ids=["an error", "a result"]
)
def test_json_that_stdout_cannot_take_is_no_verdict(words: str, code: int) -> None:
    """Python would end with 1, which a script reads as rejected, or with 120."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "deployopt", words, "--json"],
            stdout=full, stderr=subprocess.PIPE, cwd=ROOT, check=False, timeout=120,
        )  # fmt: skip
    assert done.returncode == code
    assert done.stderr.startswith(b"error: ")
    assert b"Traceback" not in done.stderr


def test_a_stdout_that_is_closed_changes_no_exit_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deployopt", "targets", "--json"],
        preexec_fn=lambda: os.close(1), stderr=subprocess.PIPE, cwd=ROOT, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")


def test_debug_shows_where_it_came_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raise_from_plan(monkeypatch, UsageError("No."))
    run(PLAN)
    assert "Traceback" not in capsys.readouterr().err
    assert run([*PLAN, "--debug"]) == ExitCode.USAGE
    assert "Traceback" in capsys.readouterr().err


def test_a_fault_of_our_own_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python would end with 1, which a script reads as rejected."""
    raise_from_plan(monkeypatch, AttributeError("no attribute \x1b[31m"))
    assert run(PLAN) == ExitCode.FAILED
    shown = capsys.readouterr()
    words = " ".join(shown.err.split())
    assert words.startswith("error: deployopt itself failed: AttributeError: no attribute ")
    assert "\x1b" not in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("stop", "code", "word"),
    [(KeyboardInterrupt(), 130, "Interrupted"), (TerminatedError(), 143, "Terminated")],
)
def test_a_stop_is_a_sentence_and_a_code(
    stop: BaseException,
    code: int,
    word: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    raise_from_plan(monkeypatch, stop)
    assert run(PLAN) == code
    assert capsys.readouterr().err == (
        f"\n{word}. What was finished is kept; run the same command to go on.\n"
    )


def test_a_stop_of_what_keeps_nothing_does_not_promise_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(**_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "detect", stop)
    assert run(["detect"]) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "\nInterrupted. Run the same command to begin again.\n"


_WAYS = {
    "is raised": "wait()",
    "becomes another error": (
        "try:\n        wait()\n"
        "    except BaseException:\n        raise TypeError('expected a message argument')"
    ),
    "is lost": (
        "try:\n        wait()\n"
        "    except BaseException:\n        pass\n"
        "    with shown_progress(quiet=True) as watcher:\n"
        "        watcher.stage('the next one')\n"
        "        print('went on')"
    ),
    "becomes one of our own": (
        "try:\n        wait()\n"
        "    except BaseException:\n        raise StepError('the exporter failed')"
    ),
}


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")],
)
def test_a_signal_ends_the_process_so(
    number: signal.Signals, code: int, word: str, way: str
) -> None:
    """Compiled code can fail for want of what the signal stopped and lose that it was stopped."""
    program = (
        "import sys, time\n"
        "from deployopt import api\n"
        "from deployopt.cli.main import main\n"
        "from deployopt.cli.output import shown_progress\n"
        "from deployopt.core.errors import StepError\n"
        "def wait():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "def detect(**asked):\n"
        f"    {_WAYS[way]}\n"
        "api.detect = detect\n"
        "main(['detect'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        assert child.wait(30) == code
        assert child.stderr.read().split()[0] == f"{word}."
        assert child.stdout.read() == ""


@pytest.mark.parametrize("words", [["targets", "rpi4", "--toml"], ["targets", "--json"]])
def test_a_reader_that_went_away_is_met_in_silence(words: list[str]) -> None:
    """Short output meets it when flushed, long output when written; neither means rejected."""
    with subprocess.Popen(
        [sys.executable, "-m", "deployopt", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.wait(30) == ExitCode.FAILED
        assert child.stderr.read() == b""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plan", "--targt", "rpi4"], "--target"),
        (["targets", "--bogus"], "No such option: --bogus See `deployopt targets --help`."),
        (["tragets"], "'targets'"),
        (["build", "--seed", "many"], "--seed"),
        (["verify"], "Missing argument 'bundle'"),
    ],
)
def test_a_slip_of_the_fingers_is_one_paragraph(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert said in " ".join(shown.err.split()).replace("BUNDLE", "bundle")
    assert "\n\n" not in shown.err.strip()
    assert shown.out == ""


def test_nothing_typed_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == ExitCode.USAGE
    nothing = capsys.readouterr()
    assert run(["--help"]) == ExitCode.ACCEPTED
    assert nothing.out == capsys.readouterr().out
    assert nothing.err == ""


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == ExitCode.ACCEPTED
    assert capsys.readouterr().out == f"deployopt {VERSION}\n"


def test_the_commands_are_these() -> None:
    assert {command.callback.__name__ for command in command_line().registered_commands if command.callback} == set(COMMANDS)  # fmt: skip  # noqa: E501


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_fits_a_terminal(
    command: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*([command] if command else []), "--help"]) == ExitCode.ACCEPTED
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"Usage: deployopt {command or '[OPTIONS]'}")
    assert max(len(line) for line in lines) <= 80


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["targets"], ["targets", "rpi4"]])
def test_looking_around_is_light(words: list[str]) -> None:
    heavy = ["torch", "transformers", "onnxruntime", "onnx", "numpy", "optimum", "tokenizers"]
    program = (
        "import sys\n"
        "from deployopt.cli.main import run\n"
        f"assert run({words!r}) == 0\n"
        f"print('heavy:', sorted({{*{heavy!r}}} & {{*sys.modules}}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    assert done.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize(("shell", "mark"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --command")])  # fmt: skip  # noqa: E501
def test_shells_are_given_their_completion(shell: str, mark: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deployopt"],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT | {"_DEPLOYOPT_COMPLETE": f"source_{shell}"},
    )
    assert done.returncode == 0, done.stderr
    assert mark in done.stdout


def test_a_word_is_completed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deployopt"],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT
        | {"_DEPLOYOPT_COMPLETE": "complete_bash", "COMP_WORDS": "deployopt ta", "COMP_CWORD": "1"},
    )
    assert done.stdout.split() == ["targets"], done.stderr


def test_json_objects_are_the_only_thing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "rpi4", "--json"]) == ExitCode.ACCEPTED
    assert json.loads(capsys.readouterr().out)["name"] == "rpi4"
