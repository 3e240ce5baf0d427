"""Which folders several machines may see."""

from pathlib import Path

import pytest

from deployopt.store import leases
from deployopt.store.file_systems import is_of_several_machines
from deployopt.store.leases import leases_in

MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /home rw - nfs4 server:/home rw
31 30 0:41 / /home/me/disk rw - xfs /dev/vdb rw
32 22 0:42 / /a\040b rw - fuse.sshfs me@there: rw
33 22 0:43 / /twice rw - nfs server:/twice rw
34 33 0:44 / /twice rw - tmpfs tmpfs rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "several"),
    [
        ("/var/store", False),
        ("/home/me/store", True),
        ("/home/me/disk/store", False),
        ("/homes/store", False),
        ("/a b/store", True),
        ("/twice/store", False),
    ],
)
def test_the_file_system_that_holds_it_decides(tmp_path: Path, path: str, several: bool) -> None:  # noqa: FBT001
    (tmp_path / "mounts").write_text(MOUNTS)
    assert is_of_several_machines(Path(path), tmp_path / "mounts") is several


def test_without_a_table_it_is_this_machine_s(tmp_path: Path) -> None:
    assert not is_of_several_machines(tmp_path, tmp_path / "none")


def test_leases_of_a_shared_store_are_this_machine_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert leases_in(tmp_path) == tmp_path / "leases"
    monkeypatch.setattr(leases, "is_of_several_machines", lambda _: True)
    monkeypatch.setattr(leases, "_OWN", tmp_path / "own")
    found = leases_in(tmp_path / "store")
    assert found.is_relative_to(tmp_path / "own")
    assert found != leases_in(tmp_path / "other")
    assert found == leases_in(tmp_path / "store")
    with leases.Lease(found) as one, leases.Lease(found) as other:
        one.alone()
        assert not other.try_share()
