"""A publisher repeats what may be repeated, never what may be there, and writes down every answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.testkit import load_publisher
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable

PROBLEM = {"content-type": "application/problem+json", "retry-after": "1"}


def refused(outcome: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(503, json={"outcome": outcome}, headers=PROBLEM)


def stored(status: int, **more: Any) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        told = [{"id": f"e-{number}-x", **more} for number, _ in enumerate(body if isinstance(body, list) else [body])]
        return httpx.Response(status, json=told if isinstance(body, list) else told[0])

    return answer


def broken(error: type[httpx.TransportError]) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("told to")

    return answer


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_publisher, "PAUSE", 0)


class Script:
    """Answers in turn; what was asked."""

    def __init__(self, *answers: Callable[[httpx.Request], httpx.Response]) -> None:
        self.answers = list(answers)
        self.bodies: list[Any] = []
        self.history = History()

    def publisher(self, *, keyed: bool = True) -> Publisher:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        return Publisher(self.history, client, "http://service", "a", keyed=keyed)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(json.loads(request.content))
        return self.answers.pop(0)(request)


async def test_with_a_key_it_repeats_until_it_is_answered() -> None:
    script = Script(
        broken(httpx.ReadError),
        broken(httpx.ConnectError),
        refused("none"),
        refused("unknown"),
        stored(200, duplicate=True),
    )
    ann = script.publisher()
    assert await ann.publish("one") == ["e-0-x"]
    assert script.bodies == [{"data": "one", "user": "ann", "localId": "ann-1"}] * 5
    assert ann.answers == dict.fromkeys(["ReadError", "ConnectError", "503 none", "503 unknown", "200"], 1)
    outcomes = [one.outcome for one in script.history.published]
    assert outcomes == ["unknown", "refused", "refused", "unknown", "duplicate"]


@pytest.mark.parametrize("lost", [broken(httpx.ReadError), refused("unknown")])
async def test_without_one_it_never_repeats_what_may_be_there(lost: Any) -> None:
    script = Script(lost, refused("none"), broken(httpx.ConnectError), stored(201))
    ann = script.publisher(keyed=False)
    assert await ann.publish("one") == []
    assert await ann.publish("two") == ["e-0-x"] == ann.ids
    assert [body["data"] for body in script.bodies] == ["one", "two", "two", "two"]


async def test_more_than_one_go_as_a_batch() -> None:
    script = Script(stored(201))
    assert await script.publisher().publish("one", "two") == ["e-0-x", "e-1-x"]
    assert [body["localId"] for body in script.bodies[0]] == ["ann-1", "ann-2"]


async def test_many_are_numbered_and_all_are_sent() -> None:
    script = Script(*[stored(201)] * 20)
    await script.publisher(keyed=False).publish_many(20, most=4)
    sent = [one for body in script.bodies for one in (body if isinstance(body, list) else [body])]
    assert [one["data"] for one in sent] == [f"ann {n}" for n in range(1, 21)]
    assert 5 <= len(script.bodies) < 20


async def test_any_other_answer_fails() -> None:
    with pytest.raises(AssertionError):
        await Script(lambda _: httpx.Response(429, json={})).publisher().publish("one")
