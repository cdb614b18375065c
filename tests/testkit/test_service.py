"""The product as users run it: started, asked, killed, frozen, brought back on its port."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, get_args

import httpx
import pytest

from tests.testkit.alarm import Alarm, until
from tests.testkit.fleet import Fleet
from tests.testkit.port import free_port
from tests.testkit.service import Server, Service

if TYPE_CHECKING:
    from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.real(seconds=5)


def messages(service: Service, channel: str = "general") -> list[object]:
    answer = httpx.get(f"{service.url}/channels/{channel}/messages", trust_env=False).raise_for_status()
    return [message["data"] for message in answer.json()["messages"]]


def publish(service: Service, data: object, channel: str = "general") -> int:
    url = f"{service.url}/channels/{channel}/messages"
    return httpx.post(url, json={"data": data}, trust_env=False).status_code


@pytest.mark.parametrize("server", get_args(Server))
def test_serves_and_comes_back_on_its_port(server: Server, valkey: Valkey) -> None:
    with Service({"REDIS_URL": valkey.url}, server=server) as service:
        assert publish(service, 1) == 201
        url, pid = service.url, service.pid
        service.restart()
        assert (service.url, service.pid != pid) == (url, True)
        assert messages(service) == [1]
        assert service.terminate() in {0, -15}  # uvicorn dies of the signal once it has tidied up
        assert not service.alive
        with pytest.raises(httpx.ConnectError):
            messages(service)


def test_settings_reach_it_and_can_be_changed(valkey: Valkey) -> None:
    with Service({"REDIS_URL": valkey.url, "GAPLESS_PREFIX": "one"}) as service:
        assert publish(service, 1) == 201
        service.restart({"REDIS_URL": valkey.url, "GAPLESS_PREFIX": "other"})
        assert messages(service) == []


def test_once_its_store_is_checked_it_asks_nothing_by_itself(valkey: Valkey) -> None:
    with Service({"REDIS_URL": valkey.url}) as service:
        service.checked()
        with valkey.count_commands() as counted:
            assert httpx.get(f"{service.url}/healthz", trust_env=False).status_code == 200
    assert counted == {}


def test_frozen_it_does_not_answer(valkey: Valkey) -> None:
    with Service({"REDIS_URL": valkey.url}) as service:
        service.pause()
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{service.url}/healthz", timeout=0.2, trust_env=False)
        service.resume()
        assert messages(service) == []


def test_one_that_cannot_start_says_why() -> None:
    service = Service({"REDIS_URL": "nonsense://"})
    with pytest.raises(Alarm, match=r"service \d+: ended \(\d\)(.|\n)*REDIS_URL begins with 'nonsense://'"):
        service.start()
    assert not service.alive


def test_a_port_in_use_is_an_error_if_it_was_asked_for(valkey: Valkey) -> None:
    port = free_port()
    with Service({"REDIS_URL": valkey.url}, port=port):
        second = Service({"REDIS_URL": valkey.url}, port=port)
        with pytest.raises(Alarm, match="in use"):
            second.start()


async def test_a_fleet_shares_the_work_and_outlives_its_members(valkey: Valkey) -> None:
    async with Fleet(2, {"REDIS_URL": valkey.url}, seed=7) as fleet:
        async with httpx.AsyncClient(base_url=fleet.url, trust_env=False) as client:
            for n in range(12):
                answer = await client.post("/channels/general/messages", json={"data": n})
                assert answer.status_code == 201
            both = dict(fleet.front.hits)
            await fleet.services[0].akill()
            answer = await client.get("/channels/general/messages")
            assert [message["data"] for message in answer.json()["messages"]] == list(range(12))
            fresh = await fleet.replace(0)
            while not fleet.front.hits[fresh.port or 0]:
                assert (await client.get("/healthz")).status_code == 200
        assert len(both) == 2
        assert min(both.values()) >= 2


async def test_starting_does_not_hold_up_the_loop(valkey: Valkey) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    async with Service({"REDIS_URL": valkey.url}):
        ticking.cancel()
    assert ticks > 3  # however few turns the machine gave it: a start that holds up the loop leaves it none


def test_workers_die_with_it(valkey: Valkey) -> None:
    args = ("--workers", "2")
    with Service({"REDIS_URL": valkey.url}, args=args) as service:
        assert publish(service, 1) == 201
    until(lambda: service.process.ended, "the workers are gone")
