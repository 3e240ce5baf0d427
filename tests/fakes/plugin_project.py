"""A project whose pytest is run in a process of its own, with the plugin and a made-up bundle.

`verify` is replaced by one that answers at once and notes each call, so that what the plugin makes
of an answer can be seen; tests/functional/test_pytest_plugin.py does it with a real bundle.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import encode_json
from deployopt.core.result import VerifyResult

ROOT: Final = Path(__file__).parents[2]
_CONFTEST: Final = """
import time
from pathlib import Path
import deployopt.device.verify as module
from deployopt.core.codec import decode_json
from deployopt.core.errors import IntegrityError
from deployopt.core.result import VerifyResult

HERE = Path(__file__).parent

def verify(bundle, **options):
    with (HERE / "calls").open("a") as calls:
        calls.write(repr(sorted(options.items())) + "\\n")
    time.sleep(0.2)
    if not (HERE / "answer.json").exists():
        raise IntegrityError("The bundle is not the one that was built. Use --proxy.")
    return decode_json((HERE / "answer.json").read_bytes(), VerifyResult, where="answer")

module.verify = verify
"""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a run of pytest ended."""

    code: int
    out: str
    calls: tuple[str, ...]


def run_pytest(folder: Path, *words: object) -> Ended:
    """One run in `folder`, without other plugins; warnings are errors, as in our own tests."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-v",
         "-p", "deployopt.testing.plugin", *map(str, words)],
        cwd=folder,
        env=environment
        | {"PYTHONPATH": str(ROOT), "COLUMNS": "200", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    calls = folder / "calls"
    made = calls.read_text().splitlines() if calls.exists() else []
    return Ended(code=done.returncode, out=done.stdout + done.stderr, calls=tuple(made))


def write_project(folder: Path, answer: VerifyResult | None, test: str = "") -> Path:
    """A bundle with the budgets of `answer`, a conftest, and a file of tests if there are any."""
    (folder / "bundle").mkdir(parents=True)
    budgets = () if answer is None else answer.budgets
    (folder / "bundle" / "budgets.json").write_bytes(encode_json(budgets))
    if answer is not None:
        (folder / "answer.json").write_bytes(encode_json(answer))
    (folder / "conftest.py").write_text(_CONFTEST)
    if test:
        (folder / "test_own.py").write_text(test)
    return folder
