"""What no client would send, to a service as it is run: never a 5xx, never a hang, and healthy afterwards."""

from __future__ import annotations

import gzip
import json
import random
import socket

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.front import strange
from tests.front.wire import POST, break_off, connect, post, problem, request, speak, statuses
from tests.support.service import Service

EASY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def _healthy(unhurt: Service) -> None:
    """Every test here leaves the service healthy; see `unhurt`."""


def works(service: Service) -> bool:
    """It takes a message and gives it back."""
    url = f"{service.url}/channels/check/messages"
    posted = httpx.post(url, json={"data": "still here"}, trust_env=False)
    read = httpx.get(url, trust_env=False)
    return posted.status_code == 201 and posted.json()["id"] in read.text


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
    "a byte order mark": (b'\xef\xbb\xbf{"data":1}', 400),
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


# --- lines and headers

LONG = "x" * 70_000
HEADS: dict[str, tuple[bytes, set[int]]] = {
    "not UTF-8 in the path": (request("GET", "/channels/%ff%fe/messages"), {422}),
    "NUL in the path": (request("GET", "/channels/%00/messages"), {422}),
    "a line end in the path": (request("GET", "/channels/a%0d%0aid:%209/stream"), {422}),
    "half an escape": (request("GET", "/channels/%f/messages%"), {404, 422}),
    "an escape of an escape": (request("GET", "/channels/%2561/messages"), {422}),
    "dots": (request("GET", "/static/../../settings.py"), {404}),
    "escaped dots": (request("GET", "/static/%2e%2e%2f%2e%2e%2fsettings.py"), {404}),
    "escaped NUL in a file's name": (request("GET", "/static/page.js%00"), {404}),
    "a file's name without an end": (request("GET", "/static/" + "x" * 5_000), {404}),
    "a folder": (request("GET", "/static/"), {404}),
    "a whole URL": (request("GET", "http://localhost/healthz"), {200, 400, 404}),
    "another's URL": (request("GET", "http://evil.example/healthz"), {200, 400, 404}),
    "a star": (request("OPTIONS", "*"), {400, 404, 405}),
    "no slash": (request("GET", "healthz"), {400, 404}),
    "two slashes": (request("GET", "//healthz"), {404}),
    "raw bytes in the line": (request("GET", b"/channels/\xff\xfe/messages"), {400, 422}),
    "a raw NUL in the line": (request("GET", b"/channels/\x00/messages"), {400}),
    "a raw blank in the line": (request("GET", b"/channels/a b/messages"), {400}),
    "a channel as long as may be": (request("GET", f"/channels/{'x' * 64}/messages"), {200}),
    "a channel too long": (request("GET", f"/channels/{'x' * 65}/messages"), {422}),
    "a path that goes on": (request("GET", f"/channels/{'x' * 60_000}/messages"), {422}),
    "a path without an end": (request("GET", f"/channels/{LONG}/messages"), {400}),
    "a query that goes on": (request("GET", f"{POST}?after={'x' * 60_000}"), {200}),
    "a query without an end": (request("GET", f"{POST}?after={LONG}"), {400}),
    "a query of bad bytes": (request("GET", f"{POST}?after=%ff%00%ed%a0%80&%ff=%ff"), {200}),
    "a thousand channels": (request("GET", "/stream?" + "&".join(["channel=a"] * 1_000)), {422}),
    "commas": (request("GET", "/stream?channel=" + "," * 1_000), {422}),
    "a limit that is none": (request("GET", f"{POST}?limit=1e3"), {422}),
    "a limit in other digits": (request("GET", f"{POST}?limit=%D9%A5"), {200, 422}),
    "to wait for NaN": (request("GET", f"{POST}?after=x&wait=nan"), {422}),
    "to wait for ever": (request("GET", f"{POST}?after=x&wait=inf"), {422}),
    "a cursor of bad bytes": (request("GET", "/channels/a/stream", b"Last-Event-ID: \xff\xfe\x80"), {200}),
    "a cursor that goes on": (request("GET", "/channels/a/stream", "Last-Event-ID: " + "a-1-a." * 9_000), {200}),
    "a key with a tab": (post(b'{"data":1}', "Idempotency-Key: a\tb"), {422}),
    "a key of bad bytes": (post(b'{"data":1}', b"Idempotency-Key: \xff\x85"), {201}),
    "a key too long": (post(b'{"data":1}', "Idempotency-Key: " + "x" * 129), {422}),
    "a header with a NUL": (request("GET", "/healthz", b"X: a\x00b"), {200, 400}),
    "a header without a colon": (request("GET", "/healthz", "X"), {400}),
    "a header without a name": (request("GET", "/healthz", ": x"), {400}),
    "a folded header": (request("GET", "/healthz", "X: a", " b"), {200, 400}),
    "a blank before the colon": (request("GET", "/healthz", "X : a"), {200, 400}),
    "a header without an end": (request("GET", "/healthz", f"X: {LONG}"), {400}),
    "headers without an end": (request("GET", "/healthz", *(f"X{n}: {'x' * 60}" for n in range(1_200))), {400}),
    "no host": (request("GET", "/healthz", host=False), {200, 400}),
    "two hosts": (request("GET", "/healthz", "Host: 127.0.0.1"), {200, 400}),
    "another's host": (request("GET", "/healthz", "Host: evil.example", host=False), {403}),
    "a host that is none": (request("GET", "/healthz", "Host: [", host=False), {403}),
    "two lengths": (post(b'{"data":1}', "Content-Length: 3"), {400}),
    "a length below nothing": (request("POST", POST, "Content-Length: -1"), {400}),
    "a length that is none": (request("POST", POST, "Content-Length: x"), {400}),
    "a length beyond all": (request("POST", POST, "Content-Length: " + "9" * 30), {400}),
    "a length and chunks": (post(b"0\r\n\r\n", "Transfer-Encoding: chunked"), {400}),
    "an unknown coding": (request("POST", POST, "Transfer-Encoding: x"), {400}),
    "chunks that are none": (request("POST", POST, "Transfer-Encoding: chunked", body=b"x\r\n"), {400, 415}),
    "an unknown method": (request("BREW", "/healthz"), {400, 405}),
    "a method in small letters": (request("get", "/healthz"), {400}),
    "TRACE": (request("TRACE", "/healthz"), {400, 405}),
    "CONNECT": (request("CONNECT", "evil.example:443"), {400, 404}),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}),
    "HTTP/9": (b"GET / HTTP/9.9\r\n\r\n", {400}),
    "no version": (b"GET /healthz\r\n\r\n", {200, 400}),
    "TLS": (bytes.fromhex("16030100d0010000cc0303") + b"\x00" * 200, {400}),
    "Redis": (b"*1\r\n$4\r\nPING\r\n", {400}),
    "noise": (random.Random(1).randbytes(10_000), {400}),
    "a WebSocket": (
        request("GET", "/stream?channel=a", "Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Key: eA=="),
        {200, 400, 426},
    ),
}


@pytest.mark.parametrize(("raw", "allowed"), HEADS.values(), ids=HEADS)
def test_a_head_gets_what_it_deserves(running: Service, raw: bytes, allowed: set[int]) -> None:
    finish = raw.startswith(b"GET /stream") or not raw.endswith(b"\r\n")
    reply = speak(running, raw, finish=finish)
    assert set(statuses(reply)) <= allowed
    assert statuses(reply) or finish or b"HTTP/2" in raw, "an answer"


def test_the_page_and_its_files_are_all_that_is_served(running: Service) -> None:
    for path in ("/static/page.js", "/static/page.css", "/"):
        assert statuses(speak(running, request("GET", path))) == [200]
    for path in (
        "/static/index.html/../../main.py",
        "/static/%5c..%5cmain.py",
        "/app/main.py",
        "/.env",
        "/.git/config",
    ):
        assert statuses(speak(running, request("GET", path))) == [404]


# --- many on one connection


def test_pipelined_requests_are_answered_in_order(running: Service) -> None:
    keep = "Connection: keep-alive"
    asked = [request("GET", "/healthz", keep), post(b'{"data":1}', keep), post(b"{", keep), request("GET", "/no", keep)]
    reply = speak(running, b"".join(asked * 25) + request("GET", "/healthz"))
    assert statuses(reply) == [200, 201, 400, 404] * 25 + [200]


def test_what_follows_a_stream_waits_for_its_end(running: Service) -> None:
    stream = request("GET", "/channels/a/stream", "Connection: keep-alive")
    reply = speak(running, stream + post(b'{"data":1}'))
    assert statuses(reply) == [200, 201]
    assert reply.index(b"event: end") < reply.index(b" 201 ")


def test_who_pipelines_and_never_reads_stops_nobody(running: Service) -> None:
    with connect(running) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(0.5)
        try:
            for _ in range(200):
                sock.sendall(request("GET", "/openapi.json", "Connection: keep-alive") * 50)
        except TimeoutError:
            pass  # it reads no more, as it should
        assert works(running)


# --- bodies that end before their end

CHUNKED = request("POST", POST, "Content-Type: application/json", "Transfer-Encoding: chunked", body=b"")
CHUNKS = b'5\r\n{"dat\r\n5;x=y\r\na":1}\r\n0\r\nTrailer: x\r\n\r\n'


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


# --- anything

VALID = [
    post(b'{"data":{"text":"hi"},"user":"ann","localId":"1"}', "Idempotency-Key: 1"),
    CHUNKED + CHUNKS,
    request("GET", "/channels/a/stream?history=1", "Last-Event-ID: t9x2k0ab-42-7qd1"),
    request("GET", "/channels/a/messages?limit=2&after=t9x2k0ab-42-7qd1&wait=0"),
    request("DELETE", "/channels/a", "Authorization: Bearer a.b.c", "Cookie: gapless_token=a.b.c"),
]
PIECES = [
    b"\x00",
    b"\xff",
    b"\r\n",
    b"\r",
    b"\n\n",
    b":",
    b" ",
    b"%",
    b"\xed\xa0\x80",
    b"9" * 40,
    b"Content-Length: 5\r\n",
]


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A good request, cut, pasted and scribbled on: mostly no request any more."""
    raw = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.integers(0, 20)))
        raw = raw[:start] + draw(st.sampled_from(PIECES) | st.binary(max_size=8)) + raw[end:]
    return raw


@EASY
@given(raw=mangled())
def test_what_is_no_request_harms_nobody(running: Service, raw: bytes) -> None:
    """Our side is closed at once, so most replies are never read: the log tells of them all; see `unhurt`."""
    assert all(status < 500 for status in statuses(speak(running, raw, finish=True)))


@EASY
@given(asked=strange.requests)
def test_whatever_is_asked_is_answered(running: Service, asked: strange.Asked) -> None:
    headers = [name + b": " + value for name, value in asked.headers]
    raw = request(asked.method, asked.target, *headers, f"Content-Length: {len(asked.body)}", body=asked.body)
    (status,) = statuses(speak(running, raw))
    assert status < 500


def test_and_afterwards_it_works(running: Service) -> None:
    assert works(running)
    assert httpx.get(f"{running.url}/readyz", trust_env=False).status_code == 200
