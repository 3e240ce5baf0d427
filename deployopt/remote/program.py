"""The helper as text: the few modules that it is made of, for a Python that has nothing installed.

In: a nonce. Out: the bytes that ssh's command line (remote/ssh.py) reads and runs: first, up to a
zero byte, a line that reads the rest, then the modules.
"""

import importlib.resources
import zlib
from typing import Final

MODULES: Final = (
    "deployopt.store.locks",
    "deployopt.store.staging",
    "deployopt.store.receiving",
    "deployopt.device.framing",
    "deployopt.device.transfer",
    "deployopt.remote.furnishing",
    "deployopt.remote.claiming",
    "deployopt.remote.helper",
)
"""In the order in which they import each other; all of them need the standard library only."""
_PACKAGES: Final = ("deployopt", "deployopt.store", "deployopt.device", "deployopt.remote")
_FIRST: Final = """\
import os, sys, zlib
text = b""
while len(text) < {length}:
    part = os.read(0, {length} - len(text))
    if not part:
        sys.exit(75)
    text += part
exec(zlib.decompress(text), {{"__name__": "deployopt-helper"}})
"""
_REST: Final = """\
import sys, types
def add(name, text):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = []
    exec(compile(text, name, "exec"), module.__dict__)
for name, text in {modules!r}:
    add(name, text)
sys.exit(sys.modules[{main!r}].main({nonce!r}))
"""


def program(nonce: str) -> bytes:
    """What is sent at once after the connection stands."""
    packages = [(name, "") for name in _PACKAGES]
    modules = [*packages, *((name, _source(name)) for name in MODULES)]
    rest = zlib.compress(_REST.format(modules=modules, main=MODULES[-1], nonce=nonce).encode())
    return _FIRST.format(length=len(rest)).encode() + b"\0" + rest


def _source(name: str) -> str:
    package, _, module = name.rpartition(".")
    return (importlib.resources.files(package) / f"{module}.py").read_text(encoding="utf-8")
