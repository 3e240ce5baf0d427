"""A whole build, struck at any call that changes the disk: nothing corrupt, and it goes on.

The shim kills the process, tears a write, or lets the call fail, once or for good. The store is
then whole, the output is what it was or the new bundle, and the same command ends in the same
bundle.
"""

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from deployopt.store.verifying import verify_bundle
from tests.fakes.figures import Figures
from tests.faults.builds import (
    DONE,
    OUTPUT,
    STORE,
    Case,
    bundle_problems,
    contents,
    left_over,
    place,
    said,
    store_problems,
)
from tests.faults.replay import read_trace

KINDS = ("kill", "tear", "eio", "enospc", "full")
KILLS = frozenset({"kill", "tear"})
SHORT = 40
LONG = 1000
KILLED = -9
FAILED = 5


@pytest.mark.slow
def test_points_over_a_whole_build(case: Case, tmp_path: Path, figures: Figures) -> None:
    sweep(case, SHORT, tmp_path, figures)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_thousand_points(case: Case, tmp_path: Path, figures: Figures) -> None:
    sweep(case, LONG, tmp_path, figures)


def sweep(case: Case, count: int, tmp_path: Path, figures: Figures) -> None:
    """Strike at so many points, spread over the build and over the kinds."""
    found: Counter[str] = Counter()
    wrong = []
    for at, kind, older in spread(case, count):
        folder = tmp_path / f"{at}-{kind}"
        problems = strike(case, folder, at, kind, older=older, found=found)
        wrong += [f"{kind} at {at} of {case.calls}: {problem}" for problem in problems]
        found["corrupt"] += bool(problems)
        shutil.rmtree(folder)
    figures(
        f"points {count} of {case.calls} calls x {len(KINDS)} kinds, corrupt {found['corrupt']}, "
        f"resumed to the same bundle {found['resumed']} (with work kept: {found['kept']}), "
        f"killed {found['killed']}, exit 5 {found['refused']}, unharmed {found['unharmed']}"
    )
    assert not wrong, "\n".join(wrong)
    assert found["resumed"] == count
    assert found["killed"] > count / 5
    assert found["refused"] > count / 8


def spread(case: Case, count: int) -> list[tuple[int, str, bool]]:
    """Points drawn by lot, alike over calls and kinds; in every second an older bundle is there.

    With as many as there are, every call is struck by every kind.
    """
    lot = random.Random(7)  # noqa: S311 -- no secret
    every = [(at, kind) for at in range(1, case.calls + 1) for kind in KINDS]
    lot.shuffle(every)
    ends = [(case.calls - back, kind) for back in (0, 1, 5, 9) for kind in KINDS[:3]]
    chosen = list(dict.fromkeys([*ends, *every]))[:count]
    # Over an older bundle there are a few calls more.
    return [(at, kind, n % 2 == 0 or at > case.fresh) for n, (at, kind) in enumerate(chosen)]


def strike(
    case: Case, folder: Path, at: int, kind: str, *, older: bool, found: Counter[str]
) -> list[str]:
    """One point; what is wrong after it."""
    place(folder).mkdir(parents=True)
    bundle, before = place(folder) / OUTPUT, None
    if older:
        shutil.copytree(case.older, bundle)
        before = verify_bundle(bundle).bundle_digest
    code = case.run(folder, at, kind)
    problems = store_problems(place(folder) / STORE)
    if kind in KILLS:
        found["killed"] += 1
        problems += [] if code == KILLED else [f"ended with {code}, not killed"]
        problems += bundle_problems(bundle, {before, case.digest})
    elif code == FAILED:
        found["refused"] += 1
        problems += refusal_problems(said(folder)) + bundle_problems(bundle, {before})
        if older and contents(bundle) != contents(case.older):
            problems.append("the older bundle was touched")
    else:
        found["unharmed"] += 1
        problems += [] if code in DONE else [f"ended with {code}: {said(folder)}"]
        problems += bundle_problems(bundle, {case.digest})
    found["kept"] += any((place(folder) / STORE).glob("objects/*"))
    return problems + resumed(case, folder, found)


def resumed(case: Case, folder: Path, found: Counter[str]) -> list[str]:
    """Run the same command again, unharmed; what is wrong then."""
    code = case.run(folder)
    problems = [] if code in DONE else [f"again: {code}: {said(folder)}"]
    problems += bundle_problems(place(folder) / OUTPUT, {case.digest})
    problems += store_problems(place(folder) / STORE)
    problems += [f"left over: {name}" for name in left_over(folder)]
    found["resumed"] += not problems
    return problems


def refusal_problems(text: str) -> list[str]:
    """An error for people: one paragraph that says what failed and where."""
    problems = [] if "\n\n" not in text.strip() else [f"more than a paragraph: {text}"]
    if "Traceback" in text or "itself failed" in text:
        problems.append(f"not for people: {text}")
    if not any(word in text for word in ("No space left", "Input/output error", "candidate")):
        problems.append(f"does not say why: {text}")
    return problems


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["eio", "enospc"])
@pytest.mark.parametrize("older", [True, False])
def test_a_bundle_that_cannot_be_brought_to_the_disk_was_not_published(
    case: Case, tmp_path: Path, kind: str, *, older: bool
) -> None:
    """The last fsync of all fails, after the new bundle has taken its place: it is put back."""
    (tmp_path / "trace").mkdir()
    before = tmp_path / "before" / OUTPUT
    before.parent.mkdir()
    if older:
        shutil.copytree(case.older, before)
    shutil.copytree(before.parent, place(tmp_path / "traced"))
    assert case.run(tmp_path / "traced", trace=str(tmp_path / "trace")) in DONE
    wanted = place(tmp_path / "traced")
    synced = [c for c in read_trace(tmp_path / "trace") if c.what == "fsync-folder"]
    last = max(call.number for call in synced if call.path == wanted)
    folder = tmp_path / "struck"
    shutil.copytree(before.parent, place(folder))
    assert case.run(folder, last, kind) == FAILED, said(folder)
    assert contents(place(folder) / OUTPUT) == contents(before)
    assert (place(folder) / OUTPUT).exists() is older
