"""A Ray cluster from the first word on: attached to or started, its nodes looked at.

In: a Wish. Out: what the nodes are. Refuses, in a paragraph each, a cluster that does not answer in
time or has other versions, and a node that does not share our folders or lacks our packages.
"""

import os
import re
import socket
import time
from typing import Final

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from deployopt.core.codec import encode_json
from deployopt.core.errors import IntegrityError
from deployopt.core.text import safe_text
from deployopt.pipeline.matrix.ray_node import look
from deployopt.pipeline.matrix.ray_words import Look, Ready, Seen, Wish, decode

_CONNECT_S: Final = 5.0
_LOOK_S: Final = 60.0
_GONE_S: Final = 20.0
_OBJECTS_BYTES: Final = 80 * 2**20
_SHOWN: Final = 600
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
ID_SHOWN: Final = 6
"""Characters of a node's number."""


class CannotError(Exception):
    """The cluster cannot be used; `ours`: by what the person who asked can change."""

    def __init__(self, reason: str, *, ours: bool = False) -> None:
        super().__init__(reason)
        self.ours = ours


class Node:
    """A node that builds, as the cluster tells it."""

    def __init__(self, told: dict[str, object], name: str) -> None:
        self.id = str(told["NodeID"])
        self.name = name
        resources = told["Resources"]
        self._resources = resources if isinstance(resources, dict) else {}

    @property
    def cores(self) -> int:
        """As it was started with."""
        return int(self._resources.get("CPU", 0))

    @property
    def memory_bytes(self) -> int:
        """Likewise."""
        return int(self._resources.get("memory", 0))


def nodes_now() -> dict[str, Node]:
    """Those that live and have cores, by name; names that two have get a part of their number."""
    told = [one for one in ray.nodes() if one["Alive"] and one["Resources"].get("CPU", 0) >= 1]
    hosts = [str(one["NodeManagerHostname"]) for one in ray.nodes()]
    nodes = {}
    for one in told:
        host = safe_text(str(one["NodeManagerHostname"]), 60)
        alone = hosts.count(host) == 1
        node = Node(one, host if alone else f"{host}-{one['NodeID'][:ID_SHOWN]}")
        nodes[node.name] = node
    return nodes


def connect(wish: Wish) -> None:
    """Attach to the cluster, or start one of our own.

    Raises:
        CannotError: it does not answer, or is of another version.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    own = wish.address is None
    if wish.address is not None and wish.address != "auto":
        _knock(wish.address)
    try:
        if own:
            ray.init(
                address="local",
                num_cpus=wish.jobs,
                include_dashboard=False,
                log_to_driver=False,
                configure_logging=False,
                object_store_memory=_OBJECTS_BYTES,
                _temp_dir=wish.folder,
            )
        else:
            ray.init(address=wish.address, log_to_driver=False, configure_logging=False)
    except ConnectionError as error:
        where = "on this machine" if wish.address == "auto" else f"at {wish.address}"
        raise CannotError(
            f"No Ray cluster answers {where}. Start one with `ray start --head`, name its "
            "HOST:PORT with --ray-address, or leave that out for a Ray of the command's own.",
            ours=True,
        ) from error
    except (RuntimeError, ValueError, OSError, RayError) as error:
        raise CannotError(_refusal(error, wish), ours=not own) from error


def _refusal(error: Exception, wish: Wish) -> str:
    text = " ".join(str(error).split())
    if text.startswith("Version mismatch"):
        return (
            f"The Ray cluster at {wish.address} has other versions than this environment. "
            f"{safe_text(text.removeprefix('Version mismatch: '), _SHOWN)} Install the cluster's "
            "versions of Ray and Python here, or start the cluster with these."
        )
    if "InvalidAuthToken" in text or "AuthenticationError" in text:
        return (
            f"The Ray cluster at {wish.address} wants a token that is not given here. Set "
            "RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to the cluster's (on its head: `ray "
            "get-auth-token`)."
        )
    what = (
        "Ray could not be started"
        if wish.address is None
        else (f"The Ray cluster at {wish.address} could not be used")
    )
    return f"{what}: {safe_text(text, _SHOWN)}"


def _knock(address: str) -> None:
    """Whether anyone listens there: Ray itself waits a minute for that."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S):
            pass
    except OSError as error:
        raise CannotError(
            f"Nothing answers at {address}: {error.strerror or error}. Start a cluster there with "
            "`ray start --head`, or name another one with --ray-address.",
            ours=True,
        ) from error


def check_nodes(wish: Wish) -> Ready:
    """Ask every node whether it shares our folders and has our versions.

    Raises:
        CannotError: one does not, and which.
    """
    nodes = nodes_now()
    if not nodes:
        raise CannotError("The Ray cluster has no node with a core to build on.", ours=True)
    task = ray.remote(num_cpus=0, max_retries=0)(look)
    question = encode_json(
        Look(files=tuple(wish.shared), share=wish.share, packages=tuple(wish.versions))
    )
    asked = [
        (
            node.name,
            task.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
            ).remote(question),
        )
        for node in nodes.values()
    ]
    there = [nodes[name] for name, ref in asked if _check_node(wish, name, ref)]
    if not there:
        raise CannotError("The Ray cluster has lost all its nodes.")
    return Ready(nodes=tuple(node.name for node in there), cores=sum(node.cores for node in there))


def _check_node(wish: Wish, name: str, ref: "ray.ObjectRef[bytes]") -> bool:
    """Whether it is there; raises CannotError where it is, and cannot be used."""
    try:
        seen = decode(ray.get(ref, timeout=_LOOK_S), Seen)
    except GetTimeoutError as error:
        raise CannotError(f"Node {name} did not answer within {_LOOK_S:g} s.") from error
    except (RayError, IntegrityError) as error:
        if not isinstance(error, RayTaskError) and _is_gone(name):
            return False
        raise CannotError(
            f"Node {name} cannot run deployopt: {first_line(error)} Install the same version of "
            "deployopt there as here.",
            ours=True,
        ) from error
    for path, nonce in wish.shared.items():
        if seen.files.get(path) == nonce and path not in seen.wrong:
            continue
        why = safe_text(seen.wrong.get(path, "other files are there"), _SHOWN).rstrip(".")
        raise CannotError(f"Node {name} {_apart(wish.share, path, why)}", ours=True)
    for package, version in wish.versions.items():
        there = seen.versions.get(package, "absent")
        if there != version:
            raise CannotError(
                f"Node {name} has {package} {safe_text(there, 40)}; here it is {version}. Results "
                "would not be the same: install the same versions on all nodes.",
                ours=True,
            )
    return True


def _apart(share: str | None, path: str, why: str) -> str:
    """What is said of a node that does not see our files."""
    if share is not None:
        return (
            f"cannot use the share at {share} ({why}). Every node must read and write there what "
            "this machine does: look at its network, its mounts, and what lets it in."
        )
    folder = path.rpartition("/")[0].rpartition("/")[0]
    return (
        f"does not share the folder {folder} with this machine ({why}). The store and the output "
        "must lie on a file system that all nodes mount at the same path: name such ones with "
        "--store and --output, or a place that all reach with --share."
    )


def _is_gone(name: str) -> bool:
    """Whether the cluster finds out within a moment that this node was lost."""
    end = time.monotonic() + _GONE_S
    while time.monotonic() < end:
        if name not in nodes_now():
            return True
        time.sleep(_GONE_S / 20)
    return False


def first_line(error: BaseException) -> str:
    """Of what Ray says, the last line of a traceback, without colours."""
    lines = [line for line in _COLOUR.sub("", str(error)).splitlines() if line.strip()]
    chosen = (lines[-1] if isinstance(error, RayTaskError) else lines[0]) if lines else ""
    text = safe_text(chosen.strip(), _SHOWN) or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
