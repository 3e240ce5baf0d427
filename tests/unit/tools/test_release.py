"""The workflows trust no tag that can move, and no job has a right that it does not need."""

import re
from pathlib import Path

import pytest

from tools.lock import ROOT

FOLDER = ROOT / ".github"
FILES = sorted([*FOLDER.rglob("*.yml"), *FOLDER.rglob("*.yaml")])
RELEASE = (FOLDER / "workflows" / "release.yml").read_text("utf-8")
JOBS = dict(re.findall(r"(?ms)^  (\w+):\n(.*?)(?=^  \w+:|\Z)", RELEASE.partition("\njobs:\n")[2]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit(path: Path) -> None:
    used = re.findall(r"(?m)^\s*-?\s*uses: (.+)$", path.read_text("utf-8"))
    for one in used:
        assert one.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*", one), (
            one
        )


def test_no_job_has_more_rights_than_it_needs() -> None:
    assert "\npermissions: {}\n" in RELEASE
    rights = {
        name: set(re.findall(r"(?m)^      ([\w-]+: (?:read|write))$", text))
        for name, text in JOBS.items()
    }
    assert rights == {
        "check": {"contents: read"},
        "build": {"contents: read"},
        "attest": {"id-token: write", "attestations: write"},
        "publish": {"id-token: write"},
    }


def test_what_may_sign_or_publish_runs_no_code_of_the_checkout() -> None:
    for name in ("attest", "publish"):
        assert "run:" not in JOBS[name]
        assert "checkout" not in JOBS[name]
    assert "environment: pypi" in JOBS["publish"]
    assert "secrets." not in RELEASE
    assert RELEASE.count("persist-credentials: false") == RELEASE.count("actions/checkout@")


def test_nothing_from_outside_is_part_of_a_line_of_shell() -> None:
    runs = re.findall(r"(?m)^\s*-?\s*run: (?:\|\n(?:\s{10}.*\n)+|.*)", RELEASE)
    assert len(runs) == 4
    assert not any("${{" in one for one in runs)
    assert any("--require-hashes" in one and "requirements/build.txt" in one for one in runs)
    assert any("diff digests" in one for one in runs)
