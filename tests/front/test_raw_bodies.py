"""Bodies that no client would send: each gets its status, nothing hangs, and the service is healthy after."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest

from tests.testkit.raw_http import (
    CHUNKED,
    CHUNKS,
    POST,
    break_off,
    connect,
    post,
    problem,
    request,
    speak,
    statuses,
    works,
)
from tests.testkit.service import Service

pytestmark = pytest.mark.usefixtures("unhurt")


NESTED = b'{"data":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no JSON": (b"hello", 400),
    "cut off": (b'{"data":', 400),
    "two values": (b'{"data":1}{"data":2}', 400),
    "bad UTF-8": (b'{"data":"\xff\xfe"}', 400),
    "an overlong NUL": (b'{"data":"\xc0\x80"}', 400),
    "a surrogate in UTF-8": (b'{"data":"\xed\xa0\x80"}', 400),
    "UTF-16": ('{"data":1}'.encode("utf-16"), 400),
    "a byte order mark, which is taken off": (b'\xef\xbb\xbf{"data":1}', 201),
    "a raw NUL": (b'{"data":"\x00"}', 400),
    "a raw line end": (b'{"data":"a\nb"}', 400),
    "an escaped NUL as data": (rb'{"data":"\u0000"}', 201),
    "an escaped NUL as user": (rb'{"data":1,"user":"\u0000"}', 422),
    "an escaped NUL as localId": (rb'{"data":1,"localId":"a\u0000"}', 422),
    "a lone surrogate": (rb'{"data":"\ud800"}', 400),
    "a lone surrogate as a name": (rb'{"\udfff":1}', 400),
    "a lone surrogate as user": (rb'{"data":1,"user":"\ud83d"}', 400),
    "surrogates the wrong way round": (rb'{"data":"\ude00\ud83d"}', 400),
    "a pair of surrogates": (rb'{"data":"\ud83d\ude00"}', 201),
    "10,000 arrays deep": (NESTED, 400),
    "10,000 arrays deep and no end": (NESTED[:9_000], 400),
    "10,000 objects deep": (b'{"data":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, 400),
    "10,000 batches deep": (b"[" * 10_000 + b"]" * 10_000, 400),
    "NaN": (b'{"data":NaN}', 400),
    "Infinity": (b'{"data":[-Infinity]}', 400),
    "no double": (b'{"data":1e400}', 422),
    "no double, far down": (b'{"data":[{"a":-1e999}]}', 422),
    "the same name twice": (b'{"data":1,"data":2}', 201),
    "a name that means something to Python": (b'{"data":{"__proto__":1,"__class__":{}}}', 201),
    "an unknown name": (b'{"data":1,"a\\nb":2}', 422),
    "no object": (b'"data"', 422),
    "null": (b"null", 422),
    "an empty batch": (b"[]", 422),
    "a batch too long": (json.dumps([{"data": 1}] * 101).encode(), 422),
    "a batch of no messages": (b"[1,null,[]]", 422),
    "one of a batch bad": (b'[{"data":1},{"date":1}]', 422),
    "as large as allowed": (b'{"data":"' + b"x" * (131_072 - 11) + b'"}', 201),
    "a byte too large": (b'{"data":"' + b"x" * (131_072 - 10) + b'"}', 413),
    "much too large": (b'{"data":"' + b"x" * 3_000_000 + b'"}', 413),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES)
def test_a_body_gets_what_it_deserves(running: Service, body: bytes, status: int) -> None:
    reply = speak(running, post(body))
    assert statuses(reply) == [status]
    if status != 201:
        assert problem(reply)["status"] == status


def test_numbers_of_any_length(running: Service) -> None:
    for digits in (20, 308, 309, 310, 4_300, 4_301, 100_000):
        for number in (b"9" * digits, b"-" + b"9" * digits, b"0." + b"9" * digits, b"1e" + b"9" * digits):
            (status,) = statuses(speak(running, post(b'{"data":' + number + b"}")))
            assert status in (201, 400, 422), (digits, number[:9])
    kept = httpx.get(f"{running.url}{POST}?limit=200", trust_env=False).content
    json.loads(kept, parse_constant=lambda constant: pytest.fail(f"{constant} is kept"))


@pytest.mark.parametrize(
    "declared",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data", "json", "\xff"],
)
def test_what_is_not_declared_as_json_is_not_read(running: Service, declared: str) -> None:
    """What a browser sends to another origin without asking first is none of these but the JSON."""
    raw = request("POST", POST, f"Content-Type: {declared}", "Content-Length: 10", body=b'{"data":1}')
    assert statuses(speak(running, raw)) == [415]


def test_packed_bodies_are_no_json(running: Service) -> None:
    assert statuses(speak(running, post(gzip.compress(b'{"data":1}'), "Content-Encoding: gzip"))) == [400]


# --- bodies that end before their end


def test_chunks_are_a_body(running: Service) -> None:
    assert statuses(speak(running, CHUNKED + CHUNKS)) == [201]
    assert statuses(speak(running, CHUNKED, *(CHUNKS[at : at + 1] for at in range(len(CHUNKS))))) == [201]


@pytest.mark.parametrize(
    "how", [break_off, lambda service, *raw: speak(service, *raw, finish=True)], ids=["reset", "end"]
)
def test_a_body_cut_off_anywhere_is_nobodys_trouble(running: Service, how: object) -> None:
    assert callable(how)
    for cut in range(0, len(CHUNKS), 2):
        how(running, CHUNKED + CHUNKS[:cut])
    for cut in (0, 1, 9):
        how(running, post(b'{"data":1}')[: cut - 10])
        how(running, CHUNKED[: -2 - cut])
    assert works(running)


def test_chunks_without_an_end_are_bounded(running: Service) -> None:
    with connect(running) as sock:
        sock.sendall(CHUNKED)
        sent, chunk = 0, b"2000\r\n" + b" " * 0x2000 + b"\r\n"
        try:
            while sent < 200:
                sock.sendall(chunk)
                sent += 1
        except OSError:
            pass
        sock.settimeout(10)
        assert statuses(sock.recv(65_536)) == [413]


def test_streams_whose_reader_vanishes_leave_nothing(running: Service) -> None:
    for number in range(30):
        break_off(running, request("GET", f"/channels/vanish{number}/stream"))
        break_off(running, request("GET", f"/channels/vanish{number}/messages?after=x&wait=25"))
    assert works(running)
