"""GET /metrics: who may see it, and that each number is what has happened. (docs/operating.md)"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gapless.platforms.policy import LAMBDA, VERCEL
from tests.api.problem import assert_problem
from tests.testkit.alarm import auntil
from tests.testkit.app_fixture import bearer, running_app
from tests.testkit.forge import SECRET, Secret, claims_of

if TYPE_CHECKING:
    import httpx

    from gapless.platforms.policy import Policy
    from tests.testkit.valkey import Valkey

TOKEN = "a token for the scraper that is long enough"


def read(text: str) -> dict[str, float]:
    """Every sample by its name and labels, as it is written."""
    found = {}
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            told = ",".join(f'{key}="{one}"' for key, one in sorted(labels.items()))
            found[f"{name}{{{told}}}" if told else name] = value
    return found


async def scrape(client: httpx.AsyncClient, **headers: str) -> dict[str, float]:
    reply = await client.get("/metrics", headers=headers)
    assert reply.status_code == 200, reply.text
    return read(reply.text)


def grown(before: dict[str, float], after: dict[str, float], what: str) -> dict[str, float]:
    """What the samples of this name have grown by, of those that have."""
    return {
        name: value - before.get(name, 0)
        for name, value in after.items()
        if name.startswith(what) and value != before.get(name, 0)
    }


# --- who may


@pytest.mark.parametrize("policy", [None, LAMBDA, VERCEL], ids=["off", "Lambda", "Vercel"])
async def test_it_is_not_there_where_it_is_off_and_on_functions(valkey: Valkey, policy: Policy | None) -> None:
    how = {} if policy is None else {"metrics": True, "policy": policy}
    async with running_app(valkey.url, **how) as found:
        told = assert_problem(await found.client.get("/metrics"), 404)
        assert "GAPLESS_METRICS" in told["detail"]
        service = found.app.wiring.service
        assert service.metrics is None and not service.counters.measures


async def test_with_keys_administrators_and_the_scrapers_token_see_it(valkey: Valkey) -> None:
    claims = claims_of(time.time())
    user = Secret().sign(claims)
    admin = Secret().sign(claims | {"gapless": {"admin": True}})
    async with running_app(valkey.url, jwt_secret=SECRET, metrics=True, metrics_token=TOKEN) as found:
        assert (await found.client.get("/metrics")).status_code == 401
        for token, status in (("nonsense", 401), (user, 403), (TOKEN[:-1], 401), (admin, 200), (TOKEN, 200)):
            reply = await found.client.get("/metrics", headers=bearer(token))
            assert reply.status_code == status, token
        refused = await found.client.get("/channels", headers=bearer(TOKEN))
        assert refused.status_code == 401  # it opens nothing else


async def test_without_keys_this_machine_sees_it_and_others_bring_the_token(valkey: Valkey) -> None:
    async with running_app(valkey.url, public=True, metrics=True, metrics_token=TOKEN) as found:
        assert (await found.client.get("/metrics")).status_code == 200
        elsewhere = found.at("192.0.2.1")
        assert "GAPLESS_METRICS_TOKEN" in assert_problem(await elsewhere.get("/metrics"), 403)["detail"]
        assert (await elsewhere.get("/metrics", headers=bearer(TOKEN))).status_code == 200


async def test_the_format_is_what_the_scraper_takes(valkey: Valkey) -> None:
    async with running_app(valkey.url, metrics=True) as found:
        plain = await found.client.get("/metrics")
        modern = await found.client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert modern.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert modern.text.endswith("# EOF\n")


# --- what it says


async def test_what_is_published_and_delivered(valkey: Valkey) -> None:
    """Two messages in a batch, one that is repeated, one that clashes; two streams, a turn and a page."""
    async with running_app(valkey.url, metrics=True, lifetime=60) as found:
        post, counters = found.client.post, found.app.wiring.counters
        await post("/channels/a/messages", json={"data": 0})  # a log's first message is read, and not told
        async with found.live("/channels/a/stream") as one, found.live("/stream?channel=a,b") as both:
            await one.until("hello")
            await both.until("hello")
            before = await scrape(found.client)
            assert before["gapless_streams_open"] == before["gapless_feeds_open"] == 2
            assert (await post("/channels/a/messages", json=[{"data": 1}, {"data": 2}])).status_code == 201
            for data, status in ((3, 201), (3, 200), (4, 409)):
                reply = await post("/channels/a/messages", json={"data": data, "localId": "x"})
                assert reply.status_code == status
            await one.until("message", 3)
            await both.until("message", 3)
            # A process hears its own messages twice: by the store's reply, and by the notice.
            await auntil(lambda: counters.notices["ignored"] == 3, "all notices have come")
            page = await found.client.get("/channels/a/messages?limit=2")
            turn = await found.client.get("/channels/a/stream?mode=buffered&history=1")
            after = await scrape(found.client)
            sent = len(one.body) + len(both.body)
        await auntil(lambda: not counters.streams.open, "both streams have ended")
        last = await scrape(found.client)
    assert grown(before, after, "gapless_messages_published") == {"gapless_messages_published_total": 3}
    assert grown(before, after, "gapless_publishes_total") == {
        'gapless_publishes_total{outcome="accepted"}': 2,
        'gapless_publishes_total{outcome="duplicate"}': 1,
        'gapless_publishes_total{outcome="conflict"}': 1,
    }
    assert grown(before, after, "gapless_publish_seconds_count") == {"gapless_publish_seconds_count": 4}
    assert grown(before, after, "gapless_messages_delivered") == {
        'gapless_messages_delivered_total{to="stream"}': 6,
        'gapless_messages_delivered_total{to="page"}': 2,
        'gapless_messages_delivered_total{to="turn"}': 1,
    }
    assert after['gapless_delivered_bytes_total{to="stream"}'] == sent
    assert after['gapless_delivered_bytes_total{to="page"}'] == len(page.content)
    assert after['gapless_delivered_bytes_total{to="turn"}'] == len(turn.content)
    assert grown(before, after, "gapless_delivery_delay_seconds_count") == {"gapless_delivery_delay_seconds_count": 3}
    assert grown(before, after, "gapless_turns") == {"gapless_turns_total": 1}
    assert grown(before, after, "gapless_streams") == {}
    assert grown(after, last, "gapless_streams") == {
        "gapless_streams_open": -2,
        'gapless_streams_ended_total{reason="disconnect"}': 2,
    }
    assert grown(after, last, "gapless_messages") == {}  # what has ended still counts
    assert grown(before, after, "gapless_notices") == {
        'gapless_notices_total{result="applied"}': 3,
        'gapless_notices_total{result="ignored"}': 3,
    }


async def test_the_store_is_asked_as_often_as_is_said(valkey: Valkey) -> None:
    async with running_app(valkey.url, metrics=True) as found:
        await found.client.get("/readyz")
        await found.client.post("/channels/a/messages", json={"data": 1})
        before = await scrape(found.client)
        for _ in range(5):
            await found.client.post("/channels/a/messages", json={"data": "x" * 1000})
        await found.client.get("/channels/a/messages")
        after = await scrape(found.client)
    commands = grown(before, after, "gapless_store_commands")
    assert commands.pop('gapless_store_commands_total{command="EVALSHA",script="publish"}') == 5
    first = commands.pop('gapless_store_commands_total{command="EVAL",script="newest"}', 0)  # not known there yet
    assert commands == {'gapless_store_commands_total{command="EVALSHA",script="newest"}': 1} and first <= 1
    assert grown(before, after, "gapless_reads") == {'gapless_reads_total{reason="page"}': 1}
    bytes_ = grown(before, after, "gapless_store_bytes")
    assert 5000 < bytes_['gapless_store_bytes_total{direction="sent"}'] < 7500
    assert 5000 < bytes_['gapless_store_bytes_total{direction="received"}'] < 7500


async def test_gaps_reads_and_ends(valkey: Valkey) -> None:
    """Two streams that live for seconds, side by side: one that ends before its gap would bring none."""
    async with running_app(valkey.url, metrics=True, lifetime=4, cap=20) as found:
        await found.client.post("/channels/a/messages", json=[{"data": n} for n in range(20)])
        await found.client.post("/channels/a/messages", json=[{"data": n} for n in range(20)])
        before = await scrape(found.client)
        begun = (found.client.get(f"/channels/a/stream?after={place}") for place in ("start", "nonsense"))
        await asyncio.gather(*begun)
        after = await scrape(found.client)
        again = await scrape(found.client)
    assert grown(before, after, "gapless_gaps") == {
        'gapless_gaps_total{reason="trimmed"}': 1,
        'gapless_gaps_total{reason="unknown"}': 1,
    }
    assert grown(before, after, "gapless_streams_ended") == {'gapless_streams_ended_total{reason="deadline"}': 2}
    assert after['gapless_reads_total{reason="subscribed"}'] >= 1
    assert grown(after, again, "gapless_") == {}  # to look costs the store nothing


async def test_a_turn_that_the_store_fails_is_refused(valkey: Valkey) -> None:
    async with running_app(valkey.url, metrics=True) as found:
        valkey.cli("SET", "gapless:{a}:log", "something else")
        before = await scrape(found.client)
        turn = await found.client.get("/channels/a/stream?mode=buffered")
        after = await scrape(found.client)
    assert '"unavailable"' in turn.text and "hello" not in turn.text
    assert grown(before, after, "gapless_streams_refused") == {'gapless_streams_refused_total{reason="unavailable"}': 1}
    for name in ("gapless_turns", "gapless_delivered", "gapless_messages"):
        assert grown(before, after, name) == {}


async def test_two_apps_in_a_process_have_two_sets_of_numbers(valkey: Valkey) -> None:
    async with running_app(valkey.url, metrics=True) as one, running_app(valkey.url, metrics=True) as other:
        await one.client.post("/channels/a/messages", json={"data": 1})
        assert (await scrape(one.client))["gapless_messages_published_total"] == 1
        assert (await scrape(other.client))["gapless_messages_published_total"] == 0


async def test_no_label_names_a_channel_a_user_or_an_address(valkey: Valkey) -> None:
    async with running_app(valkey.url, metrics=True) as found:
        await found.client.post("/channels/secretroom/messages", json={"data": 1, "user": "secretuser"})
        await found.whole("/channels/secretroom/stream?history=1")
        text = (await found.client.get("/metrics")).text
    assert "secret" not in text and "127.0.0.1" not in text
