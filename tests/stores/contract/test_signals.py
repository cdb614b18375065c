"""Signals: told to those who listen, counted where there is a rate, and never stored. (docs/protocol.md, section 9)"""

from __future__ import annotations

import pytest

from gapless.log.errors import StoreUnavailable
from gapless.log.publication import Rate
from gapless.log.signals import Signal, parse_signal
from gapless.log.store import Store
from tests.stores.contract.backend import Backend, Keep, Losses
from tests.stores.contract.conftest import Open
from tests.stores.contract.publications import NOW, Heard, calm, entries, publication
from tests.stores.contract.test_budget import cost
from tests.testkit.alarm import auntil

ONE = Signal("c", "000000000001", b'{"channel":"c","event":"typing","data":"\xc3\xa9"}', NOW)
RATED = ONE._replace(rate=Rate("ann", 100_000, 1))


async def test_who_listens_is_told_and_nothing_is_read_or_stored(servers: Backend, open_store: Open) -> None:
    here, there, heard = open_store(), open_store(), Heard()
    await here.subscribe("c", heard)
    await calm(servers, heard)
    assert await there.signal(ONE) == 0
    await auntil(lambda: heard.asides, "the signal")
    assert parse_signal(heard.asides[0]) == (ONE.nonce.encode(), ONE.line)
    assert (heard.told, await here.tail("c", 5)) == ([], [])
    for server in servers.valkeys:
        assert server.cli("DBSIZE") == 0, "nothing is stored"


async def test_it_costs_one_command(servers: Backend, store: Store) -> None:
    await store.ping()
    counted = await cost(servers, store.signal(ONE))
    assert counted == {"publish": 1}


async def test_with_a_rate_it_costs_four_and_refused_two(servers: Backend, store: Store) -> None:
    await store.signal(RATED._replace(channel="d"))
    await store.signal(RATED._replace(channel="d"))  # so that the server knows the script
    servers.keeper("c").flush()
    await store.signal(RATED._replace(rate=Rate("ann", 100_000, 5)))
    servers.keeper("c").cli("DEL", "gapless:{c}:signals:ann")
    assert (await cost(servers, store.signal(RATED))).total() == 4
    assert (await cost(servers, store.signal(RATED))).total() == 2


async def test_one_whose_reply_is_lost_is_never_told_again(servers: Backend, store: Store) -> None:
    """A reader that has meanwhile gone to another process would get it twice."""
    # A channel of its own: what other tests have told may still be on its way from node to node.
    own = RATED._replace(channel="lost")
    await store.subscribe("lost", heard := Heard())
    losses = Losses()
    async with servers.lossy(losses) as way:
        caller = way.open(Keep())
        await caller.signal(own)
        losses.due = 1
        with pytest.raises(StoreUnavailable) as unknown:
            await caller.signal(own._replace(rate=Rate("bob", 100_000, 1)))
        assert unknown.value.outcome_unknown
        await caller.signal(own._replace(rate=None, nonce="000000000003"))
        await caller.close()
    assert losses.lost == 1
    await auntil(lambda: len(heard.asides) >= 3, "all of them")
    assert len(heard.asides) == 3


async def test_its_bucket_is_its_own_and_is_the_only_thing_that_is_kept(servers: Backend, store: Store) -> None:
    assert await store.signal(RATED) == 0
    assert await store.signal(RATED._replace(now=NOW + 1)) == 99_999
    assert servers.keeper("c").cli("KEYS", "*") == ["gapless:{c}:signals:ann"]
    assert servers.keeper("c").cli("PTTL", "gapless:{c}:signals:ann") <= 101_000
    assert entries(await store.publish(publication("c", rate=Rate("ann", 100_000, 1)))), "messages have another"
    assert await store.signal(RATED._replace(now=NOW + 100_000)) == 0
