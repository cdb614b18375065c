"""Requests at the edge: what is taken is stored as it was meant, and what is not is refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gapless.api.schemas import MOST_IN_BATCH, OWN_EVENTS, Message, drafts_of, read_json, read_messages
from gapless.channels.frames import Frame
from gapless.log.cursor import Position
from gapless.log.entries import ENVELOPE, Entry
from gapless.log.errors import BadRequest, Refused, TooLarge, Unprocessable
from tests.testkit import strategies as some
from tests.testkit.calls import calls

ROOM = 1000
"""Messages that a log may hold in these tests: more than a batch."""


def request(**members: Any) -> bytes:
    return json.dumps({"data": 1} | members).encode()


def read(raw: bytes) -> Message:
    (message,), batch = read_messages(raw, ROOM)
    assert not batch
    return message


def stored(raw: bytes, user: str | None = None) -> bytes:
    return read(raw).draft(user).body


# --- what is taken


@given(some.json_values, some.events, some.users, some.local_ids, st.booleans())
def test_what_is_stored_is_what_was_sent(
    data: Any, event: str, user: str | None, local_id: str | None, ascii: bool
) -> None:
    sent = {"data": data, "event": event, "user": user, "localId": local_id}
    message = read(json.dumps(sent, ensure_ascii=ascii).encode())
    assert message.user == user
    raw = message.draft("ann").body
    assert json.loads(raw) == sent | {"user": "ann"}
    assert list(json.loads(raw)) == ["event", "user", "data", "localId"]


@given(some.json_values, some.users, some.local_ids)
@example("\x85\u2028\u2029", "\x85\u2028\u2029", "\x85\u2028\u2029")
def test_what_is_stored_is_one_line_to_everybody(data: Any, user: str | None, local_id: str | None) -> None:
    raw = stored(json.dumps({"data": data, "localId": local_id}).encode(), user)
    assert len(raw.decode().splitlines()) == 1
    assert b"\t" not in raw


def test_what_is_left_out_has_its_default() -> None:
    assert json.loads(stored(b'{"data":null}')) == {"event": "message", "user": None, "data": None, "localId": None}


@pytest.mark.parametrize("data", ["0", "-1.5e-7", "1" * 308, '"\\ud83d\\ude00"', '"\\u0000"', "[[]]", "{}", '{"":0}'])
def test_any_json_is_data(data: str) -> None:
    assert json.loads(stored(f'{{"data":{data}}}'.encode()))["data"] == json.loads(data)


@given(some.json_values, some.json_values)
def test_a_digest_tells_contents_apart(one: Any, other: Any) -> None:
    mine, theirs = Message(data=one).draft("ann"), Message(data=other).draft("ann")
    assert (mine.digest == theirs.digest) == (mine.body == theirs.body)
    assert mine.digest != Message(data=one).draft("bob").digest
    assert mine.digest != Message(data=one, event="other").draft("ann").digest
    assert len(mine.digest) == 32


def test_a_draft_carries_its_user_and_its_id() -> None:
    draft = Message(data=1, user="ann", localId="4f").draft("bob")
    assert (draft.user, draft.local_id) == ("bob", "4f")


@pytest.mark.parametrize("data", ["1", "1.0"])
def test_only_what_has_a_key_is_compared(data: str) -> None:
    """To others a digest would be a hundred kilobytes written and hashed for nothing."""
    bare, _ = read_messages(f'{{"data":{data}}}'.encode(), ROOM)
    own, _ = read_messages(f'{{"data":{data},"localId":"4f"}}'.encode(), ROOM)
    digests = [
        drafts_of(bare, 100)[0].digest,
        drafts_of(own, 100)[0].digest,
        drafts_of(bare, 100, keyed=True)[0].digest,
    ]
    assert list(map(len, digests)) == [0, 32, 32]


MANY = "".join(f'"k{number}":1,' for number in range(9_000))


SAME = '"data":1.0,'


@pytest.mark.parametrize(
    "body",
    [
        f'{{{MANY}"data":1}}',
        f'[{{"data":1}},{{{MANY}"data":1}}]',
        f"{{{SAME * 9_000}{SAME[:-1]}}}",
    ],
    ids=["unknown", "in a batch", "repeated"],
)
def test_many_members_are_refused_at_once(body: str) -> None:
    """By themselves they would take as long as a hundred messages."""
    with calls() as made, pytest.raises(Unprocessable, match="at most 16 members"):
        read_messages(body.encode(), ROOM)
    assert made.count < 1_000, "eleven thousand members were looked at"


def test_lengths_are_counted_in_characters() -> None:
    longest = "é" * 128
    assert read(request(user=longest, localId=longest)).user == longest


@given(st.lists(some.json_values, min_size=1, max_size=5))
def test_an_array_is_a_batch_in_its_order(several: list[Any]) -> None:
    messages, batch = read_messages(json.dumps([{"data": data} for data in several]).encode(), ROOM)
    assert batch
    assert [message.data for message in messages] == several


def test_a_batch_of_a_hundred_is_taken() -> None:
    messages, _ = read_messages(json.dumps([{"data": i} for i in range(MOST_IN_BATCH)]).encode(), ROOM)
    assert len(messages) == MOST_IN_BATCH == 100


LONGEST = 2560
"""Bytes of a stream's line beside GAPLESS_MAX_BODY."""


@pytest.mark.parametrize("character", ["\x85", "\u2028", '"', "\U0001f600"])
def test_the_longest_line_of_a_stream(character: str) -> None:
    """docs/protocol.md, 3.3: GAPLESS_MAX_BODY and 2,560 bytes, whatever stands around `data`."""
    most, widest = 10_000, character * 128
    longest = f"zzzzzzzz-{10**15 - 1}-zzzz"
    (message,), _ = read_messages(request(data="x" * (most - 2), event="e" * 64, localId=widest, ref=longest), ROOM)
    (draft,) = drafts_of([message.model_copy(update={"user": widest}).by_admin()], most)
    frame = Frame("c" * 64, Entry(Position("t9x2k0ab", 10**15 - 1, "7qd1"), "m4ez", 10**13, draft.body, 10**15))
    assert len(draft.body) - most <= ENVELOPE
    assert max(map(len, frame.block.split(b"\n"))) <= most + LONGEST
    with pytest.raises(TooLarge, match="GAPLESS_MAX_BODY"):
        drafts_of([message], most - ENVELOPE - 100)


def test_the_longest_line_is_that_of_the_largest_message_that_is_stored() -> None:
    """Line ends are escaped, so that data may be stored in more bytes than it came in."""
    most = 10_000
    bare = len(Message(data="").draft(None).body)
    escaped, plain = divmod(most + ENVELOPE - bare, 6)
    (draft,) = drafts_of([Message(data="\u2028" * escaped + "x" * plain)], most)
    with pytest.raises(TooLarge):
        drafts_of([Message(data="\u2028" * escaped + "x" * (plain + 1))], most)
    frame = Frame("c" * 64, Entry(Position("t9x2k0ab", 10**15 - 1, "7qd1"), "m4ez", 10**13, draft.body, 10**15))
    assert max(map(len, frame.block.split(b"\n"))) <= most + LONGEST
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert f"No line of a stream is longer than `GAPLESS_MAX_BODY` and\n{LONGEST:,} bytes." in page


# --- what refers to another message (docs/protocol.md, 9.6)

REF = "t9x20e5b-42-7qd1"


def body_of(**message: Any) -> bytes:
    (one,), _ = read_messages(json.dumps(message).encode(), ROOM)
    return drafts_of([one], 10_000)[0].body


def test_a_message_without_a_ref_is_stored_as_it_ever_was() -> None:
    """Byte for byte: else a repeat of what an older instance wrote would be a conflict."""
    assert body_of(data=1) == b'{"event":"message","user":null,"data":1,"localId":null}'
    assert body_of(data=1, ref=None) == body_of(data=1)
    (one,), _ = read_messages(request(), ROOM)
    assert one.by_admin().draft(None) == one.draft(None)


def test_a_ref_stands_behind_and_only_the_service_marks_an_administrator() -> None:
    edit = b'{"event":"edit","user":null,"data":1,"localId":null,"ref":"t9x20e5b-42-7qd1"}'
    assert body_of(event="edit", data=1, ref=REF) == edit
    (one,), _ = read_messages(request(event="edit", ref=REF), ROOM)
    assert one.by_admin().draft(None).body.endswith(b',"ref":"t9x20e5b-42-7qd1","admin":true}')
    with pytest.raises(Unprocessable, match=r"^admin: "):
        read_messages(request(ref=REF, admin=True), ROOM)


@pytest.mark.parametrize("numbers", [{}, {"user": "1e5"}])
def test_a_delete_needs_no_data(numbers: dict[str, str]) -> None:
    deleted = body_of(event="delete", ref=REF, **numbers)
    assert json.loads(deleted)["data"] is None
    assert deleted == body_of(event="delete", ref=REF, data=None, **numbers)


@pytest.mark.parametrize(
    "message", [{"event": "delete"}, {"event": "delete", "ref": None}, {"event": "edit", "ref": REF}, {"ref": REF}]
)
def test_anything_else_does(message: dict[str, str]) -> None:
    with pytest.raises(Unprocessable, match=r"^data: Field required"):
        read_messages(json.dumps(message).encode(), ROOM)


@pytest.mark.parametrize(
    "ref", ["", "x", "t9x2k0ab-0-0", "t9x2k0ab-1-abcd\n", "T9X2K0AB-1-abcd", "t9x2k0ab-01-abcd", 1]
)
def test_a_ref_has_the_form_of_an_id(ref: Any) -> None:
    with pytest.raises(Unprocessable, match=r"^ref: "):
        read_messages(request(ref=ref), ROOM)


# --- what is refused


def deep(levels: int) -> bytes:
    return b'{"data":' + b"[" * levels + b"]" * levels + b"}"


UNREADABLE = {
    "nothing": b"",
    "no JSON": b"data=1",
    "cut off": b'{"data":',
    "two values": b'{"data":1}{"data":2}',
    "NaN": b'{"data":NaN}',
    "Infinity": b'{"data":-Infinity}',
    "bad UTF-8": b'{"data":"\xff"}',
    "a surrogate in UTF-8": b'{"data":"\xed\xa0\x80"}',
    "UTF-16": '{"data":1}'.encode("utf-16"),
    "a lone surrogate": b'{"data":"\\ud800"}',
    "a lone surrogate in a key": b'{"data":{"\\udc00":1}}',
    "surrogates the wrong way round": b'{"data":"\\udc00\\ud800"}',
    "a line break in a text": b'{"data":"a\nb"}',
    "a bottomless nest": deep(20_000),
    "a mark that is not at the beginning": b'{"data":\xef\xbb\xbf1}',
    "an endless number": b'{"data":' + b"1" * 100_000 + b"}",
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_json_cannot_be_read(raw: bytes) -> None:
    with pytest.raises(BadRequest, match="not JSON"):
        read_messages(raw, ROOM)


REFUSED = {
    "a text": b'"hello"',
    "a number": b"1",
    "null": b"null",
    "no data": b"{}",
    "an unknown member": request(Data=2),
    "event: a number": request(event=1),
    "event: null": request(event=None),
    "event: empty": request(event=""),
    "event: too long": request(event="x" * 65),
    "event: a line break": request(event="a\n"),
    "event: a line break within": request(event="a\nb"),
    "event: a blank": request(event="a b"),
    "event: not ASCII": request(event="é"),
    "user: a number": request(user=7),
    "user: empty": request(user=""),
    "user: too long": request(user="x" * 129),
    "user: a line break": request(user="ann\n"),
    "user: a carriage return": request(user="an\rn"),
    "user: a zero": request(user="\0"),
    "user: a delete": request(user="\x7f"),
    "localId: a number": request(localId=1),
    "localId: empty": request(localId=""),
    "localId: too long": request(localId="x" * 129),
    "localId: a tab": request(localId="a\tb"),
    "data: no number that JSON could write": b'{"data":[1e400]}',
    "data: no integer that a double could hold": b'{"data":' + b"1" * 310 + b"}",
    "data: no number within": b'{"data":{"a":-1e999}}',
    "an empty batch": b"[]",
    "101 in a batch": json.dumps([{"data": 1}] * 101).encode(),
    "a batch with a text": b'[{"data":1},"hello"]',
    "a batch in a batch": b'[[{"data":1}]]',
    "one bad in a batch": b'[{"data":1},{}]',
    "a localId twice": b'[{"data":1,"localId":"a"},{"data":2,"localId":"a"}]',
}


def attempt(raw: bytes) -> None:
    """The whole way of a request to its drafts."""
    for message in read_messages(raw, ROOM)[0]:
        message.draft(message.user)


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_done_is_refused_in_a_sentence(raw: bytes) -> None:
    with pytest.raises(Unprocessable) as refusal:
        attempt(raw)
    assert refusal.value.detail.endswith(".")
    assert len(refusal.value.detail) < 300


@pytest.mark.parametrize("event", [*sorted(OWN_EVENTS), "gapless.", "gapless.any"])
def test_the_services_own_event_names_are_its_own(event: str) -> None:
    with pytest.raises(Unprocessable, match=f"'{event}' is one of the service's own"):
        read(request(event=event))


@pytest.mark.parametrize("event", ["gapless", "Hello", "message", "gaps", "x" * 64, "a.b:c-d_e"])
def test_all_other_names_are_free(event: str) -> None:
    assert read(request(event=event)).event == event


def test_a_batch_is_no_larger_than_the_log() -> None:
    twenty_one = json.dumps([{"data": 1}] * 21).encode()
    assert len(read_messages(twenty_one, 21)[0]) == 21
    with pytest.raises(Unprocessable, match="1 to 20 messages; this one holds 21"):
        read_messages(twenty_one, 20)


@given(st.binary(max_size=50) | some.json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_taken_or_refused(raw: bytes) -> None:
    try:
        attempt(raw)
    except Refused as refusal:
        assert refusal.status in (400, 422)


@pytest.mark.parametrize("levels", range(190, 260))
def test_any_depth_is_taken_or_refused(levels: int) -> None:
    try:
        raw = stored(deep(levels))
    except Refused:
        assert levels > 190
    else:
        assert json.loads(raw)["data"] == json.loads(deep(levels))["data"]


def test_a_text_about_infinity_is_only_a_text() -> None:
    assert json.loads(stored(b'{"data":"Infinity"}'))["data"] == "Infinity"


def test_numbers_keep_their_worth() -> None:
    assert read_json(b"12345678901234567890123") == 12345678901234567890123
    assert json.loads(stored(b'{"data":0.1}'))["data"] == 0.1
