"""What a client seldom meets: slow bodies, a full queue, a client that has gone, a failure."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from deployopt.core.errors import DeviceError
from deployopt.device.endpoint.limits import Limits
from deployopt.device.run import Predictor
from tests.fakes.served import served_bundle

anyio = pytest.importorskip("anyio")
pytest.importorskip("starlette")
BODY = b'{"inputs": ["a good film"]}'
Message = dict[str, Any]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.open(served_bundle(tmp_path_factory.mktemp("served")))


def application(predictor: Predictor, **limits: Any) -> Callable[..., Any]:
    from deployopt.device.endpoint.application import application as made

    return made(predictor, Limits(**limits))


async def ask(app: Callable[..., Any], parts: Iterable[Message]) -> tuple[int, Any]:
    """One request whose body comes in these messages, and then nothing more."""
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/predict",
        "raw_path": b"/predict", "query_string": b"", "root_path": "", "scheme": "http",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    coming, sent = iter(parts), []

    async def receive() -> Message:
        for message in coming:
            return message
        await anyio.sleep_forever()
        return {}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    data = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(data or b"null")


def whole(body: bytes = BODY) -> Message:
    return {"type": "http.request", "body": body, "more_body": False}


def part(body: bytes) -> Message:
    return {"type": "http.request", "body": body, "more_body": True}


def test_an_answer(predictor: Predictor) -> None:
    status, found = anyio.run(ask, application(predictor), [part(BODY[:9]), whole(BODY[9:])])
    assert (status, len(found["predictions"])) == (200, 1)


@pytest.mark.parametrize(
    ("messages", "limits", "status"),
    [
        ([part(BODY)], {"body_s": 0.05}, 408),
        ([part(b"a" * 60), part(b"a" * 60)], {"body_bytes": 100}, 413),
        ([part(BODY), {"type": "http.disconnect"}], {}, 499),
    ],
)
def test_bodies_that_do_not_come(
    predictor: Predictor, messages: list[Message], limits: dict[str, Any], status: int
) -> None:
    assert anyio.run(ask, application(predictor, **limits), messages)[0] == status


def test_more_than_may_wait_are_sent_away(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, found = application(predictor, waiting=2, body_s=0.3), []
    monkeypatch.setattr(Predictor, "predict", lambda *_: [])

    async def one(messages: list[Message]) -> None:
        found.append((await ask(app, messages))[0])

    async def all_of_them() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(one, [part(BODY)])
            group.start_soon(one, [part(BODY)])
            await anyio.sleep(0.1)
            await one([whole()])
        await one([whole()])

    anyio.run(all_of_them)
    assert found == [503, 408, 408, 200]


def test_a_failure_of_the_runtime_is_a_sentence(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise DeviceError("It broke.")

    monkeypatch.setattr(Predictor, "predict", fails)
    found = anyio.run(ask, application(predictor), [whole()])
    assert found == (500, {"error": "It broke."})
