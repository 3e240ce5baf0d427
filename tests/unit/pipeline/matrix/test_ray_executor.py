"""What cells on a cluster are given of this process, and what all nodes must see."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from deployopt.core.errors import MissingExtraError, UsageError
from deployopt.device.strays import MARK
from deployopt.pipeline.matrix import ray_executor
from deployopt.pipeline.matrix.ray_executor import check_ray
from tests.fakes.cells import cell


def test_an_address_is_looked_at_before_anything_is_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray_executor, "find_spec", lambda _: object())
    for address in (None, "auto", "host:6379", "[::1]:6379"):
        check_ray(address)
    with pytest.raises(UsageError, match="write `auto`, or HOST:PORT"):
        check_ray("ray://host:10001/x")
    monkeypatch.setattr(ray_executor, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="--executor ray"):
        check_ray("auto")


def test_a_cell_has_the_driver_s_settings_and_no_mark_of_its_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEPLOYOPT_SETTING", "1")
    monkeypatch.setenv(MARK, "mark")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = ray_executor._environment()
    assert found["DEPLOYOPT_SETTING"] == "1"
    assert (found["OMP_NUM_THREADS"], found["CUDA_VISIBLE_DEVICES"]) == ("3", None)
    assert not {MARK, "AWS_SECRET_ACCESS_KEY"} & found.keys()


def test_every_folder_that_nodes_must_share_has_a_file_while_it_lasts(tmp_path: Path) -> None:
    cells = [cell(name=name, store=tmp_path / "store") for name in "ab"]
    with ExitStack() as stack:
        files = ray_executor._shared(cells, None, stack)
        assert {Path(path).parent.parent for path in files} == {
            tmp_path / "store" / "staging",
            tmp_path / "out",
        }
        assert all(Path(path).read_text() == nonce for path, nonce in files.items())
        assert len(set(files.values())) == len(files)
    assert not any(os.path.lexists(path) for path in files)
