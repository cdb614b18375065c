"""A signal is one event, told once, and nothing but a signal becomes one. (docs/protocol.md, section 9)"""

from __future__ import annotations

import pytest

from gapless.channels.feed import Feed
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.signals import MOST_KNOWN, Signals
from gapless.log.namespaces import Feature
from gapless.log.signals import MOST_BYTES, Signal
from tests.testkit.clock import advance
from tests.testkit.model_store import ModelStore

LINE = b'{"channel":"c","event":"typing","user":null,"data":null}'


def notice(nonce: int = 1, line: bytes = LINE) -> bytes:
    return Signal("c", f"{nonce:012}", line, 0).notice


def test_it_becomes_an_event_without_an_id_once() -> None:
    signals = Signals("c", on=True)
    assert signals.take(notice()) == b"event: signal\ndata: " + LINE + b"\n\n"
    assert signals.take(notice()) is None, "doubled by the store"
    assert signals.take(notice(2)) is not None


def test_what_is_remembered_is_bounded() -> None:
    signals = Signals("c", on=True)
    for nonce in range(3 * MOST_KNOWN):
        assert signals.take(notice(nonce)) is not None
    assert signals.take(notice(2 * MOST_KNOWN)) is None, "so many are remembered"
    assert signals.take(notice(2 * MOST_KNOWN - 1)) is not None, "and no more"


@pytest.mark.parametrize(
    "foreign",
    [
        b"!",
        b"!x 000000000001 " + LINE,
        b"!s short " + LINE,
        b"!s 000000000001 [1]",
        b"!s 000000000001 " + LINE.replace(b"typing", b"a\nid: x"),
        b"!s 000000000001 " + LINE.replace(b'"c"', b'"d"'),
        b'!s 000000000001 {"channel":"c","data":"' + b"x" * MOST_BYTES + b'"}',
    ],
)
def test_what_is_no_signal_of_this_channel_is_none(foreign: bytes) -> None:
    assert Signals("c", on=True).take(foreign) is None


def test_where_signals_are_off_there_are_none() -> None:
    assert Signals("c", on=False).take(notice()) is None


@pytest.mark.virtual_time
@pytest.mark.parametrize("told", [notice(), b"!z something of a later version"])
async def test_a_notice_of_no_messages_never_makes_the_log_be_read(told: bytes) -> None:
    store = ModelStore()
    feed = Feed("c", store, FeedSettings(15, 10, 86_400, 64, features=(Feature.SIGNALS,)), store.clock.now)
    await feed.ready()
    store.calls.clear()
    for _ in range(20):
        store.tell_aside("c", told)
        await advance(0.5)
    assert not store.calls, "no read, not even the one after a silence"
    await feed.close()
