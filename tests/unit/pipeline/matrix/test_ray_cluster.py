"""A cluster that cannot be used is a paragraph that says what to do, and its nodes have names."""

import socket
from collections.abc import Callable
from types import SimpleNamespace

import msgspec
import pytest

from deployopt.core.codec import encode_json
from deployopt.pipeline.matrix.child import Start
from deployopt.pipeline.matrix.ray_words import Look, Seen, Wish, decode
from tests.fakes.sshd import free_port

ray = pytest.importorskip("ray")

from ray.exceptions import GetTimeoutError, RayError, RayTaskError  # noqa: E402

from deployopt.pipeline.matrix import ray_cluster  # noqa: E402
from deployopt.pipeline.matrix.ray_cluster import (  # noqa: E402
    CannotError,
    check_nodes,
    connect,
    first_line,
    nodes_now,
)

WISH = Wish(
    address="127.0.0.1:1",
    jobs=2,
    folder="",
    start=Start(),
    shared={"/store/staging/x/shared": "nonce"},
    versions={"deployopt": "1", "torch": "2.1"},
    niceness=0,
)
SEEN = Seen(files=WISH.shared, wrong={}, versions=WISH.versions)
IDS = [letter * 56 for letter in "abc"]


def told(number: int, host: str, *, alive: bool = True, cpu: float = 4.0) -> dict[str, object]:
    return {
        "NodeID": IDS[number],
        "NodeManagerHostname": host,
        "Alive": alive,
        "Resources": {"CPU": cpu, "memory": 2.0**30} if cpu else {},
    }


def the_nodes(monkeypatch: pytest.MonkeyPatch, *nodes: dict[str, object]) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: list(nodes))


def test_nodes_that_build_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    the_nodes(monkeypatch, told(0, "x"), told(1, "x"), told(2, "evil\x1b[2J"))
    found = nodes_now()
    assert [name for name in found if name.startswith("x")] == ["x-aaaaaa", "x-bbbbbb"]
    assert not any("\x1b" in name for name in found)
    assert {(node.cores, node.memory_bytes) for node in found.values()} == {(4, 2**30)}
    the_nodes(monkeypatch, told(0, "x"), told(1, "y", alive=False), told(2, "z", cpu=0))
    assert list(nodes_now()) == ["x"]


class Answers:
    """What each node answers when it is looked at, or raises."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Seen | Exception) -> None:
        self.asked: list[Look] = []
        self._left = list(answers)
        monkeypatch.setattr(ray, "remote", lambda **_: lambda _: self)
        monkeypatch.setattr(ray, "get", self.get)
        monkeypatch.setattr(ray_cluster, "_GONE_S", 0.1)

    def options(self, **told: object) -> object:
        assert told.keys() == {"scheduling_strategy"}
        return SimpleNamespace(remote=self.remote)

    def remote(self, asked: bytes) -> Seen | Exception:
        self.asked.append(decode(asked, Look))
        return self._left.pop(0)

    def get(self, ref: Seen | Exception, timeout: float) -> bytes:
        assert timeout > 0
        if isinstance(ref, Exception):
            raise ref
        return encode_json(ref)


def test_every_node_is_asked_for_our_files_and_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    the_nodes(monkeypatch, told(0, "x"), told(1, "y", cpu=2))
    answers = Answers(monkeypatch, SEEN, SEEN)
    ready = check_nodes(WISH)
    assert (ready.nodes, ready.cores) == (("x", "y"), 6)
    assert answers.asked == 2 * [
        Look(files=("/store/staging/x/shared",), packages=("deployopt", "torch"))
    ]


def changed(**fields: dict[str, str]) -> Seen:
    return msgspec.structs.replace(SEEN, **fields)


PATH = "/store/staging/x/shared"
REFUSED: dict[str, tuple[Seen | Exception, str]] = {
    "another's files": (
        changed(files={PATH: "another"}),
        r"Node x does not share the folder /store/staging with this machine \(other files are",
    ),
    "not readable": (
        changed(files={}, wrong={PATH: "/store: No such file or directory"}),
        r"does not share the folder .*\(/store: No such file or directory\)",
    ),
    "another torch": (
        changed(versions={"deployopt": "1", "torch": "2.2\x1b[2J"}),
        "Node x has torch 2.2",
    ),
    "no torch": (changed(versions={"deployopt": "1"}), "Node x has torch absent; here it is 2.1"),
    "silent": (GetTimeoutError("late"), "Node x did not answer within"),
    "no deployopt": (
        RayTaskError("look", "Traceback\nModuleNotFoundError: No module named 'deployopt'", None),
        r"Node x cannot run deployopt: ModuleNotFoundError.*Install the same version",
    ),
}


@pytest.mark.parametrize("how", REFUSED)
def test_a_node_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    answer, said = REFUSED[how]
    the_nodes(monkeypatch, told(0, "x"))
    Answers(monkeypatch, answer)
    with pytest.raises(CannotError, match=said) as found:
        check_nodes(WISH)
    assert found.value.ours == (how != "silent")
    assert "\x1b" not in str(found.value)


def test_a_share_that_a_node_does_not_reach_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    the_nodes(monkeypatch, told(0, "x"))
    Answers(monkeypatch, changed(files={}, wrong={PATH: "Access Denied."}))
    with pytest.raises(CannotError, match=r"cannot use the share at s3://b/p \(Access Denied\)"):
        check_nodes(msgspec.structs.replace(WISH, share="s3://b/p"))


def test_a_node_that_is_lost_meanwhile_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [told(0, "x"), told(1, "y")]
    monkeypatch.setattr(ray, "nodes", lambda: list(nodes))

    def gone(timeout: float) -> bytes:
        del timeout
        nodes.pop(0)
        raise RayError("the node died")

    answers = Answers(monkeypatch, SEEN, SEEN)
    first: list[Callable[[float], bytes]] = [gone]
    monkeypatch.setattr(
        ray,
        "get",
        lambda ref, timeout: first.pop()(timeout) if first else answers.get(ref, timeout),
    )
    assert check_nodes(WISH).nodes == ("y",)


def test_a_cluster_of_no_nodes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    the_nodes(monkeypatch)
    with pytest.raises(CannotError, match="no node with a core to build on"):
        check_nodes(WISH)


INIT: dict[str, tuple[Exception, str | None, str, bool]] = {
    "nobody": (ConnectionError("no"), "auto", "No Ray cluster answers on this machine", True),
    "versions": (
        RuntimeError("Version mismatch: The cluster was started with:\n Ray: 2.0"),
        "auto",
        "has other versions than this environment. The cluster was started with: Ray: 2.0",
        True,
    ),
    "token": (
        RuntimeError("InvalidAuthToken: no"), "auto", "wants a token that is not given here", True,
    ),
    "own": (OSError("No space left"), None, "Ray could not be started: No space left", False),
    "else": (ValueError("odd\x1b[2J"), "auto", "could not be used: odd", True),
}  # fmt: skip


@pytest.mark.parametrize("how", INIT)
def test_what_ray_says_when_it_is_begun_is_a_paragraph(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    error, address, said, ours = INIT[how]

    def init(**_: object) -> None:
        raise error

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(CannotError) as found:
        connect(msgspec.structs.replace(WISH, address=address))
    assert said in str(found.value)
    assert found.value.ours == ours
    assert "\x1b" not in str(found.value)


def test_a_ray_of_its_own_lets_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(ray, "init", lambda **named: asked.update(named))
    connect(msgspec.structs.replace(WISH, address=None, folder="/short"))
    assert (asked["address"], asked["num_cpus"], asked["_temp_dir"]) == ("local", 2, "/short")
    assert (asked["include_dashboard"], asked["log_to_driver"]) == (False, False)


def test_nobody_at_an_address_is_found_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself would try for a minute; whoever listens is left to it."""
    begun: list[object] = []
    monkeypatch.setattr(ray, "init", lambda **named: begun.append(named["address"]))
    silent = f"127.0.0.1:{free_port()}"
    with pytest.raises(CannotError, match=f"Nothing answers at {silent}: Connection refused"):
        connect(msgspec.structs.replace(WISH, address=silent))
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"127.0.0.1:{server.getsockname()[1]}"
        connect(msgspec.structs.replace(WISH, address=there))
    assert begun == [there]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RayError("\n\nfirst\nsecond"), "first."),
        (RayTaskError("f", "Traceback\n  at x\nValueError: \x1b[31mred\x1b[0m!", None), "red!"),
        (RayError(""), "RayError."),
    ],
)
def test_of_what_ray_says_a_line_is_kept(error: RayError, line: str) -> None:
    found = first_line(error)
    assert found.endswith(line)
    assert "\x1b" not in found
    assert "\n" not in found
