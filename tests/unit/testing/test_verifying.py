"""Once a run: within a process, and between processes through a folder."""

from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError
from deployopt.core.result import VerifyResult
from deployopt.device import verify as module
from deployopt.testing.verifying import Once, VerifyingError
from tests.fakes.results import verify_result


class Counted:
    """Stands for `verify`."""

    def __init__(self, answer: VerifyResult | None) -> None:
        self.answer, self.calls = answer, 0

    def __call__(self, bundle: Path, *, proxy: bool, accept_predicted: bool) -> VerifyResult:
        assert bundle == Path("bundle")
        assert (proxy, accept_predicted) == (True, False)
        self.calls += 1
        if self.answer is None:
            raise IntegrityError("altered; use --proxy")
        return self.answer


def once(shared: Path | None = None) -> Once:
    return Once(
        bundle=Path("bundle"),
        proxy=True,
        accept_predicted=False,
        shared=None if shared is None else str(shared),
    )


@pytest.mark.parametrize("answer", [verify_result("undecided"), None])
def test_one_process_asks_once(
    monkeypatch: pytest.MonkeyPatch, answer: VerifyResult | None
) -> None:
    counted = Counted(answer)
    monkeypatch.setattr(module, "verify", counted)
    asked = once()
    for _ in range(3):
        if answer is None:
            with pytest.raises(VerifyingError, match="IntegrityError: altered; use --deployopt-p"):
                asked.result()
        else:
            assert asked.result() == answer
    assert counted.calls == 1
    assert asked.beside == ""


@pytest.mark.parametrize("answer", [verify_result(), None])
def test_processes_ask_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: VerifyResult | None
) -> None:
    counted = Counted(answer)
    monkeypatch.setattr(module, "verify", counted)
    for _ in range(3):
        worker = once(tmp_path)
        if answer is None:
            with pytest.raises(VerifyingError, match="altered"):
                worker.result()
        else:
            assert worker.result() == answer
        assert "without -n" in worker.beside
    assert counted.calls == 1


def test_a_worker_elsewhere_verifies_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "verify", Counted(verify_result()))
    assert once(tmp_path / "none").result() == verify_result()


def test_the_shared_folder_goes_at_the_end() -> None:
    ends: list[object] = []
    asked = once()
    folder = asked.share(ends.append)
    assert asked.share(ends.append) == folder
    assert folder.is_dir()
    (end,) = ends
    end()  # type: ignore[operator]
    assert not folder.exists()
