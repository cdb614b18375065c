"""What all Redis stores share: names of keys, and replies read with suspicion, as bytes and as text."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given

from gapless.log.cursor import Position
from gapless.log.entries import Entry, format_entry
from gapless.log.errors import CorruptLog
from gapless.log.publication import Accepted, KeyConflict, Limited, Rate, Repeated
from gapless.log.store import Slice
from gapless.stores.replies import read_entries, read_outcome, read_slice
from gapless.stores.scripts import Layout, load
from tests.stores.contract.publications import message, publication
from tests.testkit import strategies as some

LAYOUT = Layout("gapless", 3, 20, 3600)


@given(some.channels)
def test_the_keys_of_a_channel_share_a_hash_tag(channel: str) -> None:
    one = publication(channel, message(1, "id", "ann"), message(2, "di"), key="k", rate=Rate("ann", 1, 1))
    keys, _ = LAYOUT.publish(one)
    assert keys[0] == LAYOUT.log(channel)
    assert len(set(keys)) == len(keys) == 5
    assert all(key.startswith(f"gapless:{{{channel}}}:") for key in keys)


def test_topics_hold_prefix_and_database() -> None:
    topics = {Layout(prefix, database, 20, 1).topic("c") for prefix in ("a", "b") for database in (0, 1)}
    assert len(topics) == 4


def test_a_script_is_known_by_the_sum_of_its_text() -> None:
    for name in ("publish", "slice", "newest"):
        script = load(name)
        assert script.sha == hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()


both_kinds = pytest.mark.parametrize("kind", [str, str.encode], ids=["text", "bytes"])


@both_kinds
def test_outcomes_are_read_as_bytes_and_as_text(kind: Any) -> None:
    one = publication("c", message(1, "a"), message(2, "b"))
    first, second = one.marks

    def told(*parts: str) -> Any:
        return read_outcome(one, [kind(part) for part in parts])[0]

    accepted = told("accepted", "t9x2k0ab", "8", "m4ez", "1", "700")
    assert isinstance(accepted, Accepted)
    assert [entry.position for entry in accepted.entries] == [("t9x2k0ab", 8, first), ("t9x2k0ab", 9, second)]
    assert [entry.prev for entry in accepted.entries] == ["m4ez", first]
    assert [entry.body for entry in accepted.entries] == [draft.body for draft in one.drafts]
    assert [entry.start for entry in accepted.entries] == [700, 700 + len(format_entry(accepted.entries[0]))]
    places = Position("t9x2k0ab", 3, "aaaa"), Position("t9x2k0ab", 7, "bbbb")
    assert told("repeated", "d 5 t9x2k0ab 3 aaaa", "d 6 t9x2k0ab 7 bbbb") == Repeated(places, 6)
    assert told("conflict", "2", "1") == KeyConflict(2, 1)
    assert told("limited", "250") == Limited(250)


@pytest.mark.parametrize("reply", [[], ["yes"], ["accepted"], ["limited"], ["conflict", "1"]])
def test_any_other_outcome_is_none_of_ours(reply: list[str]) -> None:
    with pytest.raises(CorruptLog):
        read_outcome(publication("c"), reply)


def test_whether_the_script_has_notified_is_passed_on() -> None:
    for flag in ("0", "1"):
        _, notified = read_outcome(publication("c"), ["accepted", "t9x2k0ab", 1, "0", flag, "0"])
        assert notified == (flag == "1")


def _head(entry: Entry) -> str:
    return " ".join(map(str, (*entry.position, entry.prev, entry.time)))


@both_kinds
@given(log=some.chains())
def test_entries_are_read_as_bytes_and_as_text(kind: Any, log: list[Entry]) -> None:
    raw = [kind(format_entry(entry).decode()) for entry in log]
    assert read_entries(raw) == log
    if log:
        first, last = log[0].position.seq, log[-1].position.seq
        ends = [kind(_head(entry)) for entry in (log[0], log[-1])]
        for back in (False, True):
            told = Slice(tuple(log), log[0].link, log[-1].link)
            assert read_slice([*ends, *raw], first, last, back) == told
            assert read_slice(ends, first, last, back) == Slice((), log[0].link, log[-1].link)
    assert read_slice([], 1, 1) == Slice()


@given(some.chains().filter(lambda log: len(log) > 2))
def test_what_is_no_chain_is_never_served(log: list[Entry]) -> None:
    raw = [format_entry(entry) for entry in log]
    ends = [_head(entry).encode() for entry in (log[0], log[-1])]
    for broken in (raw[:1] + raw[2:], raw[::-1], [raw[0], *raw]):
        with pytest.raises(CorruptLog):
            read_entries(broken)
        with pytest.raises(CorruptLog):
            read_slice([*ends, *broken], log[0].position.seq, log[-1].position.seq)
    with pytest.raises(CorruptLog):
        read_slice([*ends, *raw[2:]], log[1].position.seq, log[-1].position.seq)
    with pytest.raises(CorruptLog):
        read_slice([*ends, *raw[:-2]], log[1].position.seq, log[-2].position.seq, True)
    with pytest.raises(CorruptLog):
        read_slice([*raw[:2], *raw], log[0].position.seq, log[-1].position.seq)
