"""The last checkpoint is whole or not there; a damaged or finished one is nothing to resume."""

from pathlib import Path

from deployopt.pipeline.training_checkpoints import StoreCheckpoints
from deployopt.store.keys import cache_key
from deployopt.store.store import Store

KEY = cache_key({"run": 1})


def saved(store: Store, folder: Path, step: int) -> StoreCheckpoints:
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text(f'{{"global_step": {step}}}', "utf-8")
    (folder / "optimizer.pt").write_bytes(bytes([step]) * 100)
    checkpoints = StoreCheckpoints(store, KEY)
    checkpoints.save(folder)
    return checkpoints


def test_the_last_one_counts(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        checkpoints = StoreCheckpoints(store, KEY)
        assert checkpoints.load() is None
        for step in (3, 7):
            saved(store, store.layout.root / f"step{step}", step)
        found = checkpoints.load()
        assert found is not None
        assert (found / "optimizer.pt").read_bytes() == b"\7" * 100
        assert StoreCheckpoints(store, cache_key({"run": 2})).load() is None


def test_another_process_finds_it_and_a_damaged_one_counts_as_none(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        saved(store, store.layout.root / "step", 5)
    with Store(tmp_path / "store") as store:
        found = StoreCheckpoints(store, KEY).load()
        assert found is not None
    (found / "optimizer.pt").chmod(0o644)
    (found / "optimizer.pt").write_bytes(b"\0" * 100)
    with Store(tmp_path / "store") as store:
        assert StoreCheckpoints(store, KEY).load() is None


def test_a_finished_run_is_not_resumed(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        checkpoints = saved(store, store.layout.root / "step", 5)
        checkpoints.forget()
        assert checkpoints.load() is None
