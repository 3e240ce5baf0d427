"""Two machines, each with a store of its own, and one place through which they share steps."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployopt.device.accuracy import Evaluation, evaluate
from deployopt.pipeline import answering
from deployopt.store.store import Store
from tests.fakes.shares import MISSING, s3_server, there_is_s3, wrong_urls
from tests.fakes.sshd import free_port
from tests.functional.conftest import Done, Invoke

pytest.importorskip("fsspec")


@pytest.fixture(params=["folder", "s3"])
def share(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder, then a real S3 server."""
    if request.param == "folder":
        (tmp_path / "share").mkdir()
        yield str(tmp_path / "share")
        return
    if not there_is_s3():
        pytest.skip(MISSING)
    with pytest.MonkeyPatch.context() as patch, s3_server(patch) as url:
        yield url


class Machine:
    """Builds the same model with a store of its own."""

    def __init__(self, invoke: Invoke, tmp_path: Path, given: tuple[object, ...]) -> None:
        self._invoke = invoke
        self._folder = tmp_path
        self._given = given

    def builds(self, name: str, share: str) -> Done:
        return self._invoke(
            "build", *self._given, "-o", self._folder / name / "b", "--store",
            self._folder / name / "store", "--share", share, "--json",
        )  # fmt: skip


@pytest.fixture
def machine(invoke: Invoke, tmp_path: Path, here: Path, mlp: Path, arrays: Path) -> Machine:
    return Machine(invoke, tmp_path, ("-t", here, "-m", mlp, "-d", arrays))


def made(done: Done) -> list[str]:
    steps = [step for one in done.json["candidates"] for step in one["steps"]]
    return [step["name"] for step in steps if not step["reused"]]


def told(done: Done) -> list[str]:
    return [text for text in done.json["warnings"] if "share" in text or "refused" in text]


@pytest.mark.slow
def test_a_second_machine_makes_nothing_and_measures_all(
    machine: Machine, share: str, mlp_build: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = machine.builds("one", share)
    assert first.code in {0, 3}, first.err
    assert made(first) == ["optimize", "quantize-dynamic"]
    asked: list[object] = []

    def counted(*words: object, **named: object) -> Evaluation:
        asked.append(words)
        return evaluate(*words, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(answering, "evaluate", counted)
    second = machine.builds("other", share)
    assert second.code in {0, 3}, second.err
    assert made(second) == []
    assert len(asked) >= 3  # answers, memory and times are this machine's own
    assert first.json["bundle_digest"] == second.json["bundle_digest"]
    assert first.json["bundle_digest"] == mlp_build.json["bundle_digest"]
    assert (told(first), told(second)) == ([], [])


@pytest.mark.slow
def test_what_was_altered_is_said_and_made_here(machine: Machine, tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    first = machine.builds("one", str(share))
    # Steps' results, and nothing that was measured.
    assert len(list((share / "keys").iterdir())) == len(made(first)) == 2
    assert len(list((tmp_path / "one" / "store" / "keys").iterdir())) > 2
    for path in (share / "files").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    second = machine.builds("other", str(share))
    assert made(second) == made(first)
    assert len(told(second)) == 2
    assert all("was refused, and is made here" in text for text in told(second))
    assert second.json["bundle_digest"] == first.json["bundle_digest"]
    third = machine.builds("third", str(share))
    assert (made(third), told(third)) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("what", ["write", "any"])
def test_a_share_that_fails_in_a_build_is_said_once(
    machine: Machine, tmp_path: Path, what: str
) -> None:
    share = tmp_path / "share"
    share.mkdir()
    calls: list[str] = []

    def fault(now: str, path: str) -> None:
        calls.append(now)
        if "/keys/" in path and what == "any":
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        if now == what and len(calls) > 5:
            raise OSError(errno.EROFS, "Read-only file system", path)

    with wrong_urls() as faults:
        faults[0] = fault
        done = machine.builds("one", f"wrong://{share}")
    assert done.code in {0, 3}, done.err
    assert made(done) == ["optimize", "quantize-dynamic"]
    (said,) = told(done)
    if what == "any":
        assert said.startswith("The share was lost; this goes on without it. Failed looking at")
    else:
        assert said.startswith("Nothing more is put into the share. Failed writing")
        assert "Read-only file system" in said


def test_a_share_that_is_not_there_begins_nothing(machine: Machine, tmp_path: Path) -> None:
    done = machine.builds("one", str(tmp_path / "nothing"))
    assert done.code == 2
    assert "there is no folder" in done.paragraph
    assert "Make it, or mount what belongs there" in done.paragraph
    assert not (tmp_path / "one" / "b").exists()


@pytest.mark.slow
@pytest.mark.skipif(not there_is_s3(), reason=MISSING)
def test_a_server_that_does_not_answer_is_a_paragraph(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    done = machine.builds("one", "s3://bucket/share")
    assert done.code == 5
    assert "The share at s3://bucket/share cannot be used: failed" in done.paragraph
    assert "Check that it is there" in done.paragraph


@pytest.mark.slow
def test_the_cells_of_a_matrix_share_with_other_machines(
    invoke: Invoke, tmp_path: Path, here: Path, mlp: Path, arrays: Path
) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "m.toml").write_text(
        f'accept_predicted = true\n[[model]]\nname = "mlp"\nmodel = "{mlp}"\ndata = "{arrays}"\n'
        f'[[target]]\nname = "here"\ntarget = "{here}"\n'
    )
    done = [
        invoke(
            "matrix", tmp_path / "m.toml", "--executor", executor, "--store", tmp_path / name,
            "-o", tmp_path / f"{name}-out", "--share", tmp_path / "share", "--json",
        )
        for name, executor in (("one", "inline"), ("other", "processes"))
    ]  # fmt: skip
    assert [one.json["steps_made"] for one in done] == [2, 0], done[1].err
    digests = [one.json["cells"][0]["bundle_digest"] for one in done]
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_a_plan_counts_what_the_share_has_and_fetches_nothing(
    invoke: Invoke, tmp_path: Path, here: Path, mlp: Path, arrays: Path, share: str
) -> None:
    (tmp_path / "m.toml").write_text(
        f'accept_predicted = true\n[[model]]\nname = "mlp"\nmodel = "{mlp}"\ndata = "{arrays}"\n'
        f'[[target]]\nname = "here"\ntarget = "{here}"\n'
    )

    def asked(store: str, *words: object) -> Done:
        given = ("--store", tmp_path / store, "-o", tmp_path / f"{store}-out-{len(words)}")
        return invoke("matrix", tmp_path / "m.toml", *given, *words)

    def states(done: Done) -> dict[str, str]:
        return {step["name"]: step["state"] for step in done.json["steps"]}

    empty = asked("one", "--plan", "--share", share, "--json")
    assert set(states(empty).values()) == {"to make"}, empty.err
    assert empty.json["shared"] == 0
    built = asked("one", "--executor", "inline", "--share", share, "--json")
    assert built.json["steps_made"] == 2, built.err
    plan = asked("other", "--plan", "--share", share, "--json")
    assert set(states(plan).values()) == {"shared"}
    assert (plan.json["shared"], plan.json["to_make"], plan.json["share"]) == (2, 0, share)
    # The keys of later steps are those of the one that made them: nothing had to be there.
    with Store(tmp_path / "one") as one, Store(tmp_path / "other") as other:
        for step in plan.json["steps"]:
            assert one.lookup(step["key"]) is not None
            assert other.lookup(step["key"]) is None
    words = asked("other", "--plan", "--share", share).err
    assert "2 shared, 0 to make" in words
    assert set(states(asked("other", "--plan", "--json")).values()) == {"to make"}
    assert set(states(asked("one", "--plan", "--share", share, "--json")).values()) == {"stored"}
