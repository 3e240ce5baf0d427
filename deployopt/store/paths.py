"""Which file names a bundle may have: plain ones, that mean the same on every file system."""

import re
from collections.abc import Iterable
from itertools import accumulate

MANIFEST = "manifest.json"
SEAL = "manifest.json.sha256"
VERIFICATIONS = "verifications"
SIGNATURE = "signature"
RELEASE = "release.json"
BILL = "mlbom.cdx.json"
SIGNED = "model.sig"
SIGNATURE_FILES = (BILL, SIGNED, RELEASE)
"""All that is in `signature/`, sorted: none of them, or each."""

_PLAIN = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")
_LENGTH_MAX = 200
_DEPTH_MAX = 8


def path_problem(path: str) -> str | None:
    """Why a relative path may not be in a bundle, or None."""
    parts = path.split("/")
    if not _PLAIN.fullmatch(path):
        return "is not a relative path of letters, digits, '.', '_' and '-'"
    if "." in parts or ".." in parts:
        return "is not a normal path"
    if len(path) > _LENGTH_MAX or len(parts) > _DEPTH_MAX:
        return f"is longer than {_LENGTH_MAX} characters or deeper than {_DEPTH_MAX} folders"
    if parts[0].casefold() in {MANIFEST, SEAL, VERIFICATIONS, SIGNATURE}:
        return "is a name that bundles keep for themselves"
    return None


def path_problems(paths: Iterable[str]) -> list[str]:
    """All that is wrong with a bundle's list of files, one sentence each."""
    problems: list[str] = []
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        problem = path_problem(path)
        if problem:
            problems.append(f"{path!r} {problem}")
            continue
        *parents, _ = accumulate(path.split("/"), "{}/{}".format)
        if path.casefold() in files:
            problems.append(f"{path!r} is listed beside {files[path.casefold()]!r}")
        files[path.casefold()] = path
        if any(folders.setdefault(parent.casefold(), parent) != parent for parent in parents):
            problems.append(f"{path!r} lies in a folder that is also written otherwise")
    both = sorted(files.keys() & folders.keys())
    return problems + [f"{files[name]!r} is both a file and a folder" for name in both]
