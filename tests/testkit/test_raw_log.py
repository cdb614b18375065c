"""Entries behind the service's back are as the service writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapless.log.entries import parse_entry
from tests.testkit.history import History
from tests.testkit.raw_log import RawLog, chain, start

if TYPE_CHECKING:
    from tests.testkit.valkey import Valkey


TIME = "1767323045678"


def test_a_chain_is_linked_and_is_what_the_service_reads(valkey: Valkey) -> None:
    log, entries = RawLog(valkey, "a"), chain(start("t9x2k0ab", TIME), 1, "zwei", {"drei": 3})
    assert log.rewrite(None, entries) == -1, "nobody was told"
    assert log.entries() == entries
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert [entry.prev for entry in entries[1:]] == [entry.mark for entry in entries[:-1]]
    assert entries[2].start == len(str(entries[0])) + len(str(entries[1]))
    for line, entry in zip(valkey.cli("LRANGE", log.key, 0, -1), entries, strict=True):
        assert str(parse_entry(line.encode()).position) == entry.id


def test_the_newest_are_replaced_in_one_step(valkey: Valkey) -> None:
    log, entries = RawLog(valkey, "a"), chain(start("t9x2k0ab", TIME), 1, 2, 3)
    log.rewrite(None, entries)
    other = chain(entries[0], "other")
    assert log.rewrite(2, other, told=True) == 0, "told, and nobody listens"
    assert [entry.content["data"] for entry in log.entries()] == [1, "other"]
    log.rewrite(None)
    assert log.entries() == []


def test_the_history_gets_the_log_as_the_final_one(valkey: Valkey) -> None:
    log, history = RawLog(valkey, "a"), History()
    log.rewrite(None, chain(start("t9x2k0ab", TIME), 1, 2))
    log.tell(history)
    assert [logged.id for logged in history.logs["a"]] == [entry.id for entry in log.entries()]
