"""What a failing disk comes to in the middle of fine-tuning; nothing is trained."""

import errno
from pathlib import Path

import pytest

from deployopt.core.errors import StorageError
from deployopt.core.training_request import FinetuneRequest
from deployopt.pipeline import finetuning


@pytest.mark.torch
def test_a_full_disk_is_said_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(finetuning, "_prepared", full)
    asked = FinetuneRequest(
        model="demo-sentiment", data="x.csv", output=tmp_path / "out", store=tmp_path / "store"
    )
    with pytest.raises(StorageError, match=r"Failed training at .*No space left.*Free some space"):
        finetuning.run_finetune(asked)
    assert not asked.output.exists()
