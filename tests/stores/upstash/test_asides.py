"""What goes on around messages, on Upstash: told whatever scripts may, and refused where channels are polled."""

from __future__ import annotations

import pytest

from gapless.log.errors import CannotSignal
from gapless.log.publication import Rate
from gapless.log.signals import Signal
from gapless.stores.topic import Topic
from tests.api.problem import assert_problem
from tests.stores.contract.publications import Heard
from tests.stores.upstash.use import emulated, until
from tests.testkit.app_fixture import running_app
from tests.testkit.upstash import UpstashEmulator
from tests.testkit.valkey import Valkey

SIGNAL = Signal("c", "000000000001", b'{"channel":"c"}', 0)


async def test_where_channels_are_polled_signals_are_refused(valkey: Valkey) -> None:
    """docs/protocol.md, 9.3: 501, and `/readyz` says so."""
    async with emulated(valkey) as (emulator, open_store):
        emulator.faults.arm("refuse_subscribe")
        here = open_store()
        assert await here.signal(SIGNAL) == 0
        await here.subscribe("c", Heard())
        assert here.state()["signals"] == "none"
        with pytest.raises(CannotSignal, match="polled"):
            await here.signal(SIGNAL)


async def test_the_service_says_that_it_can_not_tell_signals_now(valkey: Valkey) -> None:
    """docs/protocol.md, 9.3"""
    kinds = {"room": {"signals": True}}
    async with UpstashEmulator(valkey.url) as emulator:
        emulator.faults.arm("refuse_subscribe")
        store = {"upstash_url": emulator.url, "upstash_token": emulator.token}
        async with (
            running_app(None, namespaces=kinds, lifetime=60, **store) as served,
            served.live("/channels/room:1/stream") as stream,
        ):
            await stream.until("hello")
            assert (await served.client.get("/readyz")).json()["signals"] == "none"
            reply = await served.client.post("/channels/room:1/signals", json={"event": "typing"})
            assert_problem(reply, 501, "channels are polled")
            reply = await served.client.post("/channels/room:1/messages", json={"data": 1})
            assert reply.status_code == 201, "messages go on"


@pytest.mark.parametrize("publish_in_scripts", ["accept", "refuse_in_locked", "refuse_always"])
async def test_signals_are_told_whatever_scripts_may(valkey: Valkey, publish_in_scripts: str) -> None:
    async with emulated(valkey, publish_in_scripts=publish_in_scripts) as (_, open_store):
        here, heard = open_store(), Heard()
        await here.subscribe("c", heard)
        signal = SIGNAL._replace(rate=Rate("ann", 1000, 9))
        assert await here.signal(signal) == 0
        await until(lambda: heard.asides == [signal.notice], "the signal")


async def test_a_notice_of_a_later_version_is_ignored_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    topic = Topic("c")
    topic.listeners.append(heard := Heard())
    topic.notice(b"!z of a later version")
    assert (heard.told, heard.asides) == ([], [b"!z of a later version"])
    assert not caplog.records
