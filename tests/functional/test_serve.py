"""`serve` as a client meets it: a process of its own, over HTTP."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployopt.core.verdict import Outcome
from deployopt.core.workload import Workload
from deployopt.device.run import Predictor
from deployopt.signing.keys import new_pair
from tests.fakes.served import (
    IMAGE,
    SPEAKS,
    TEXT,
    TEXTS,
    check,
    served_bundle,
    target_of,
    verdict_of,
)
from tests.functional.conftest import check_schema, child_environment, invoke_here

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")


class Server:
    """A running server."""

    def __init__(self, process: "subprocess.Popen[str]", told: Any) -> None:
        self.process = process
        self.told = told
        self.port = int(told["url"].rpartition(":")[2])

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {"Content-Type": kind} if body is not None else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            assert answer.headers["Content-Type"] == "application/json"
            assert "server" not in answer.headers
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def predict(self, *inputs: str) -> tuple[int, Any]:
        return self.ask("POST", "/predict", json.dumps({"inputs": inputs}).encode())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


@contextmanager
def serving(bundle: Path, *words: object) -> Iterator[Server]:
    command = [sys.executable, "-m", "deployopt", "serve", bundle, "--port", "0", "--json", *words]
    process = subprocess.Popen(
        [str(word) for word in command],
        env=child_environment() | {"DEPLOYOPT_HOME": str(bundle.parent / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"the server did not start: {process.communicate(timeout=60)[1]}")
        yield Server(process, json.loads(line))
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def bundle(shelf: Path) -> Path:
    return served_bundle(shelf, TEXT)


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[Server]:
    with serving(bundle, "--max-body", "64 KiB", "--max-inputs", "3") as running:
        yield running


def test_it_answers_as_run_does(server: Server, bundle: Path) -> None:
    status, found = server.predict(*TEXTS[:3])
    wanted = Predictor.open(bundle).predict(list(TEXTS[:3]))
    assert status == 200
    assert [one["label"] for one in found["predictions"]] == [one.label for one in wanted]
    assert [one["scores"] for one in found["predictions"]] == [one.scores for one in wanted]


def test_health_and_what_answers(server: Server) -> None:
    check_schema("serve-result", server.told)
    assert server.ask("GET", "/health") == (200, {"status": "ready"})
    status, found = server.ask("GET", "/metadata")
    assert (status, found["name"], found["labels"]) == (200, "sample", ["bad", "good"])
    assert found["limits"]["body_bytes"] == 64 * 1024
    assert found["bundle_digest"] == server.told["bundle_digest"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/predict", b"nonsense", 400),
        ("POST", "/predict", b'{"inputs": ["a", "b", "c", "d"]}', 413),
        ("POST", "/predict", b'{"inputs": ["' + b"a" * 70_000 + b'"]}', 413),
        ("PUT", "/predict", b"{}", 405),
        ("GET", "/predict", None, 405),
        ("GET", "/none", None, 404),
        ("POST", "/../etc/passwd", b"", 404),
    ],
)
def test_wrong_requests(
    server: Server, method: str, path: str, body: bytes | None, status: int
) -> None:
    found = server.ask(method, path, body)
    assert found[0] == status
    assert set(found[1]) == {"error"}
    assert server.predict("a good film")[0] == 200


def test_a_body_that_does_not_say_its_length(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(9):
            raw.sendall(b"2000\r\n" + b"a" * 0x2000 + b"\r\n")
        assert raw.recv(64).startswith(b"HTTP/1.1 413")
    assert server.predict("a good film")[0] == 200


def test_many_at_once_get_their_own_answers(server: Server, bundle: Path) -> None:
    wanted = {
        text: one.scores
        for text, one in zip(TEXTS, Predictor.open(bundle).predict(TEXTS), strict=True)
    }
    found: list[bool] = []

    def ask(at: int) -> None:
        text = TEXTS[at % len(TEXTS)]
        status, answer = server.predict(text)
        found.append(status == 200 and answer["predictions"][0]["scores"] == wanted[text])

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 24


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_asked(bundle: Path, number: signal.Signals) -> None:
    with serving(bundle) as running:
        assert running.predict("a good film")[0] == 200
        code, err = running.stop(number)
    assert code == 0
    assert "Stopped as asked" in err
    assert "Traceback" not in err


def test_images_and_a_bundle_that_was_not_accepted(tmp_path: Path) -> None:
    doubt = check("latency_p95", 0.06, 0.09, outcome=Outcome.UNDECIDED)
    target = target_of(Workload(batch=2))
    bundle = served_bundle(tmp_path, IMAGE, verdict=verdict_of(doubt), target=target)
    pixels = np.random.default_rng(1).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    np.save(tmp_path / "image.npy", pixels)
    with serving(bundle) as running:
        body = (tmp_path / "image.npy").read_bytes()
        status, found = running.ask("POST", "/predict", body, "application/x-npy")
        assert status == 200
        (wanted,) = Predictor.open(bundle).predict([pixels])
        assert found["predictions"][0]["scores"] == wanted.scores
        assert running.ask("POST", "/predict", b"x", "image/png")[0] == 400
        assert running.ask("POST", "/predict", body, "text/plain")[0] == 415
        _, err = running.stop()
    assert "It is undecided, not accepted." in err


def test_what_is_refused_before_it_listens(tmp_path: Path, bundle: Path) -> None:
    speaks = served_bundle(tmp_path, SPEAKS, name="speaks")
    forged = served_bundle(tmp_path, name="forged")
    (forged / "tokenizer.json").write_text("{}")
    (tmp_path / "k.pub").write_bytes(new_pair()[1])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words, code, said in (
            ((speaks, "--port", 0), 2, "holds a language model"),
            ((forged, "--port", 0), 4, "tokenizer.json"),
            ((bundle, "--port", 0, "--key", tmp_path / "k.pub"), 4, "is not signed, and --key"),
            ((bundle, "--port", port), 2, "Nothing can listen on 127.0.0.1"),
            ((bundle, "--port", 99_999), 2, "--port 99999 is none"),
            ((bundle, "--host", "no.such.host.invalid"), 2, "Nothing can listen"),
            ((bundle, "--max-body", "much"), 2, "--max-body is wrong"),
            ((tmp_path / "none", "--port", 0), 2, "There is nothing at"),
        ):
            done = invoke_here("serve", *words)
            assert (done.code, done.out) == (code, ""), words
            assert said in done.paragraph


def test_without_the_extra_it_says_which(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = invoke_here("serve", bundle)
    assert done.code == 2
    assert "deployopt[serve]" in done.paragraph
