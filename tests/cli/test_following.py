"""Every end of a stream is followed by the next one, which goes on after the last id."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gapless.cli.failure import Failed
from gapless.cli.following import QUIET, Event, Following

if TYPE_CHECKING:
    from collections.abc import Iterator

HELLO = ("hello", {"cursor": "e-0-0", "heartbeat": 20}, "e-0-0")


def block(kind: str, data: Any, id: str = "", retry: int = 0) -> bytes:
    """One event as it stands on a stream; a comment before it."""
    named = f"id: {id}\n" if id else ""
    return f":\n{f'retry: {retry}' if retry else ':'}\n{named}event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def message(number: int) -> bytes:
    return block("message", number, f"e-{number}-m")


class Cut(httpx.SyncByteStream):
    """A body that breaks off."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        raise httpx.RemoteProtocolError("cut")


class Service:
    """Answers each request with the next of `answers`; `asked` are the positions that came with them."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = [*answers]
        self.asked: list[tuple[str | None, str]] = []
        self.timeouts: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.headers.get("last-event-id"), request.url.query.decode()))
        self.timeouts.append(request.extensions["timeout"]["read"])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def stream(*pieces: bytes, cut: bool = False) -> httpx.Response:
    body = Cut(*pieces) if cut else b"".join(pieces)
    how: dict[str, Any] = {"stream": body} if cut else {"content": body}
    return httpx.Response(200, headers={"content-type": "text/event-stream; charset=utf-8"}, **how)


def follow(service: Service, most: int, said: list[str] | None = None, slept: list[float] | None = None) -> list[Event]:
    """The first `most` events."""
    told: list[str] = [] if said is None else said
    waited: list[float] = [] if slept is None else slept
    with httpx.Client(transport=httpx.MockTransport(service), base_url="http://service") as http:
        where = {"channel": "a", "history": "9"}
        following = Following(http, where, tell=told.append, sleep=waited.append, random=lambda: 0.5)
        events = following.events()
        seen = [next(events) for _ in range(most)]
        events.close()
    return seen


def test_it_goes_on_after_the_last_whole_block() -> None:
    service = Service(
        stream(block(*HELLO), message(1), message(2), message(3)[:-1], cut=True),
        httpx.ConnectError("refused"),
        httpx.Response(503, json={"detail": "no store"}),
        stream(block(*HELLO[:2], "e-2-m"), message(3), block("end", {"reason": "deadline"}, retry=700)),
        stream(block(*HELLO[:2], "e-3-m"), message(4)),
    )
    said: list[str] = []
    slept: list[float] = []
    seen = follow(service, 8, said, slept)
    assert [event.data for event in seen if event.kind == "message"] == ["1", "2", "3", "4"]
    assert [position for position, _ in service.asked] == [None, "e-2-m", "e-2-m", "e-2-m", "e-3-m"]
    assert {query for _, query in service.asked} == {"channel=a&history=9"}
    assert len(said) == 1, "a planned end is no news, and an outage is told once"
    assert slept[-1] == 0.7


def test_a_silence_that_is_too_long_is_measured_by_the_heartbeat() -> None:
    service = Service(stream(block(*HELLO), cut=True), stream(block(*HELLO)))
    follow(service, 2)
    assert service.timeouts == [QUIET, max(QUIET, 50.0)]


def test_before_a_first_hello_it_asks_for_the_same_again() -> None:
    service = Service(stream(block("end", {"reason": "busy"}, retry=5)), stream(block(*HELLO)))
    follow(service, 2)
    assert [position for position, _ in service.asked] == [None, None]


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_a_refusal_for_good_ends_it(status: int) -> None:
    with pytest.raises(Failed, match=f"{status}: not here"):
        follow(Service(httpx.Response(status, json={"detail": "not here"})), 1)


def test_what_is_no_stream_ends_it() -> None:
    with pytest.raises(Failed, match="no stream of Gapless: <html>"):
        follow(Service(httpx.Response(200, html="<html>")), 1)
