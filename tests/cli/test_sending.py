"""What is sent is appended once and in order, over every passing trouble; what can never work is said at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gapless.cli.failure import Failed
from gapless.cli.sending import Sending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Answer = httpx.Response | Exception


class Service:
    """Answers each post with the next of `answers`, then takes everything. `most`: messages of a batch."""

    def __init__(self, *answers: Answer, most: int = 100) -> None:
        self.answers = [*answers]
        self.most = most
        self.posts: list[list[Any]] = []
        self.taken: list[Any] = []
        self.known: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        messages = json.loads(request.content)
        self.posts.append([one["data"] for one in messages])
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, httpx.ReadTimeout):  # written all the same
                self._take(messages)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if len(messages) > self.most:
            return httpx.Response(422, json={"detail": "too many"})
        self._take(messages)
        return httpx.Response(201, json=[{"id": one["localId"]} for one in messages])

    def _take(self, messages: list[Any]) -> None:
        """Once for each localId, as the service does."""
        self.taken += [one["data"] for one in messages if one["localId"] not in self.known]
        self.known |= {one["localId"] for one in messages}


class World:
    """Time that passes while one sleeps, and what was said."""

    def __init__(self) -> None:
        self.now, self.slept, self.said = 0.0, list[float](), list[str]()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def sending(world: World) -> Iterator[Callable[[Service], Sending]]:
    """Sends to such a service."""
    made: list[httpx.Client] = []

    def make(service: Service) -> Sending:
        made.append(httpx.Client(transport=httpx.MockTransport(service), base_url="http://service"))
        time = {"clock": lambda: world.now, "sleep": world.sleep, "random": lambda: 1.0}
        return Sending(made[0], "general", tell=world.said.append, patience=60, **time)

    yield make
    for client in made:
        client.close()


def messages(*data: int) -> list[bytes]:
    return [json.dumps({"data": one, "localId": f"k-{one}"}).encode() for one in data]


def problem(status: int, **more: Any) -> httpx.Response:
    return httpx.Response(status, json={"detail": "so it is", **more})


def test_a_part_is_sent_until_it_is_answered(sending: Callable[[Service], Sending], world: World) -> None:
    troubles = [httpx.ConnectError("refused"), httpx.ReadTimeout(""), problem(503), problem(502), problem(500)]
    service = Service(*troubles)
    assert sending(service).send(messages(1, 2)) == ["k-1", "k-2"]
    assert service.posts == [[1, 2]] * 6
    assert service.taken == [1, 2]
    assert len(world.said) == 1, "an outage is told once"


def test_who_is_told_to_slow_down_waits_for_as_long_as_it_takes(
    sending: Callable[[Service], Sending], world: World
) -> None:
    service = Service(*[problem(429, retryAfterMs=30_000)] * 9)
    assert sending(service).send(messages(1)) == ["k-1"]
    assert world.slept == [30.0] * 9
    assert not world.said


def test_an_outage_that_is_too_long_is_given_up(sending: Callable[[Service], Sending], world: World) -> None:
    """Before the service forgets the localId, after which a message could be appended twice."""
    with pytest.raises(Failed, match=r"not answered for 6\d s: refused"):
        sending(Service(*[httpx.ConnectError("refused")] * 100)).send(messages(1))
    assert 60 < world.now < 70


@pytest.mark.parametrize("most", [1, 3, 7])
def test_a_batch_that_is_too_large_here_is_sent_in_parts(sending: Callable[[Service], Sending], most: int) -> None:
    service = Service(most=most)
    assert sending(service).send(messages(*range(20))) == [f"k-{one}" for one in range(20)]
    assert service.taken == [*range(20)]


@pytest.mark.parametrize("status", [401, 403, 404, 409, 413, 422, 302])
def test_what_can_never_work_is_said_at_once(sending: Callable[[Service], Sending], world: World, status: int) -> None:
    with pytest.raises(Failed, match=str(status)):
        sending(Service(problem(status))).send(messages(1))
    assert not world.slept


def test_a_web_server_that_is_no_service_is_told(sending: Callable[[Service], Sending]) -> None:
    with pytest.raises(Failed, match="does not answer as a Gapless service does"):
        sending(Service(httpx.Response(200, text="<html>hello"))).send(messages(1))
