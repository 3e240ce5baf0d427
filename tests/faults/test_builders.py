"""Eight processes, overlapping keys, killed at random: no lock is needed to be right."""

import os
import random
import signal
import time
from pathlib import Path

from deployopt.store.keys import cache_key
from deployopt.store.objects import read_object
from deployopt.store.store import Store

KEYS = [cache_key({"step": number}) for number in range(4)]
BUILDERS = 8
SECONDS = 2.5


def content_of(number: int) -> bytes:
    # Two keys share an object, so two builders also race for one content.
    return bytes([number // 2]) * 50_000


def build_for_ever(root: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 -- a test's dice
    while True:
        with Store(root) as store:
            number = chance.randrange(len(KEYS))
            found = store.lookup(KEYS[number])
            if found is None or chance.random() < 0.3:
                with store.stage() as folder:
                    (folder / "model.onnx").write_bytes(content_of(number))
                    found = store.commit(folder, KEYS[number])
            if (found.folder / "model.onnx").read_bytes() != content_of(number) or store.notices:
                os._exit(3)
            if chance.random() < 0.1:
                store.gc(everything=chance.random() < 0.5)


def start(root: Path, seed: int) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            build_for_ever(root, seed)
        finally:
            os._exit(4)
    return pid


def stop(pid: int) -> int:
    """Kill a builder; how it ended, which is by the kill unless it had met something wrong."""
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def build_and_kill(root: Path) -> list[int]:
    """How every builder ended."""
    chance = random.Random(0)  # noqa: S311 -- a test's dice
    builders = [start(root, seed) for seed in range(BUILDERS)]
    ends = []
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            time.sleep(chance.random() * 0.05)
            place = chance.randrange(BUILDERS)
            ends.append(stop(builders[place]))
            builders[place] = start(root, BUILDERS + len(ends))
    finally:
        ends += [stop(pid) for pid in builders]
    return ends


def test_builders_and_collectors_killed_at_random(tmp_path: Path) -> None:
    root = tmp_path / "store"
    ends = build_and_kill(root)
    assert set(ends) == {-signal.SIGKILL}
    assert len(ends) >= 8  # a loaded machine starts few; each of the eight places was killed
    with Store(root) as store:
        for path in root.glob("objects/*"):
            read_object(path, path.name, store.memo)
        for number, key in enumerate(KEYS):
            found = store.lookup(key)
            assert found is None or (found.folder / "model.onnx").read_bytes() == content_of(number)
        assert store.notices == ()
    Store(root).gc()
    assert list(root.glob("staging/*")) == []
    assert list(root.glob("quarantine/*")) == []
