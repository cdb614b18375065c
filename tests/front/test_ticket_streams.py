"""A ticket in a stock EventSource: the same URL, ten reconnects, two services that know nothing of each other."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from tests.testkit.app_fixture import bearer
from tests.testkit.fleet import Fleet
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.node import NodeReader, node_reader
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.real(seconds=8)

RECONNECTS = 10


async def test_an_event_source_reads_through_ten_reconnects_at_two_services(valkey: Valkey) -> None:
    env = {"REDIS_URL": valkey.url, "GAPLESS_JWT_SECRET": SECRET, "GAPLESS_LIFETIME": "0.25", "GAPLESS_RETRY_MS": "30"}
    headers = bearer(Secret().sign(claims_of(time.time(), exp=int(time.time()) + 600)))
    async with Fleet(2, env) as fleet, httpx.AsyncClient(trust_env=False, timeout=30) as http:
        made = await http.post(f"{fleet.services[0].url}/tickets", json={"channels": ["a"]}, headers=headers)
        url = f"{fleet.url}/channels/a/stream?ticket={made.json()['ticket']}"
        async with node_reader("eventsource", url) as reader:
            await reader.until(lambda seen: seen.of("hello"), "a hello")
            sent = []
            while reader.reconnects < RECONNECTS:
                posted = await http.post(f"{fleet.url}/channels/a/messages", json={"data": 1}, headers=headers)
                sent.append(posted.json()["id"])
                await reader.until(lambda seen: len(seen.messages) >= len(sent), "it has come")
            assert [seen.id for seen in reader.messages] == sent
            assert len(fleet.front.hits) == 2, "both have honoured it"
            assert reader.of("gap") == []
            assert {json.loads(seen.data)["reason"] for seen in reader.of("end")} == {"deadline"}


async def test_when_it_has_ended_the_event_source_stops_and_the_next_one_goes_on(valkey: Valkey) -> None:
    """`auth`, and at the next try a 401, which stops an EventSource: the sign to get another ticket."""
    env = {"REDIS_URL": valkey.url, "GAPLESS_JWT_SECRET": SECRET, "GAPLESS_RETRY_MS": "30"}
    async with Service(env) as service, httpx.AsyncClient(trust_env=False, timeout=30) as http:

        def signed(seconds: int) -> dict[str, str]:
            return bearer(Secret().sign(claims_of(time.time(), exp=int(time.time()) + seconds)))

        async def url(seconds: int) -> str:
            made = await http.post(f"{service.url}/tickets", json={"channels": ["a"]}, headers=signed(seconds))
            return f"{service.url}/channels/a/stream?ticket={made.json()['ticket']}"

        async def read_to_the_end(seconds: int) -> NodeReader:
            async with node_reader("eventsource", await url(seconds)) as reader:
                await reader.until(lambda seen: seen.closed, "it has stopped")
                return reader

        seconds = 2
        while not (first := await read_to_the_end(seconds)).opens:
            seconds *= 2  # Node has started too late to find its ticket good
        assert [json.loads(seen.data)["reason"] for seen in first.of("end")] == ["auth"]
        assert first.details[-1] == "401"
        (hello,) = first.of("hello")
        missed = await http.post(f"{service.url}/channels/a/messages", json={"data": 1}, headers=signed(60))
        async with node_reader("eventsource", f"{await url(60)}&after={hello.id}", count=1) as second:
            assert [seen.id for seen in await second.finished()] == [missed.json()["id"]]
            assert second.of("gap") == []
