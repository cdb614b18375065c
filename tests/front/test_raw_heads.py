"""Lines and headers that no client would send: each gets its status, and the service is healthy after."""

from __future__ import annotations

import random

import pytest

from tests.testkit.raw_http import POST, post, request, speak, statuses
from tests.testkit.service import Service

pytestmark = pytest.mark.usefixtures("unhurt")


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
    "a whole URL": (request("GET", "http://LocalHost/healthz"), {200}),
    "another's URL": (request("GET", "http://evil.example/healthz"), {400}),
    "another's URL that begins like ours": (request("GET", "http://localhost.evil.example/healthz"), {400}),
    "a name before our URL": (request("GET", "http://evil.example@localhost/healthz"), {400}),
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
    "a hundred channels": (request("GET", "/stream?" + "&".join(["channel=a"] * 100)), {422}),
    "a thousand parts of a query": (request("GET", "/stream?" + "&".join(["channel=a"] * 1_000)), {400}),
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
    "no host": (request("GET", "/healthz", host=False), {400}),
    "no host in HTTP/1.0": (b"GET /healthz HTTP/1.0\r\n\r\n", {200}),
    "two hosts": (request("GET", "/healthz", "Host: 127.0.0.1"), {400}),
    "two hosts in HTTP/1.0": (b"GET /healthz HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n", {400}),
    "no host, and another protocol": (request("GET", "/healthz", "Upgrade: h2c", host=False), {400}),
    "another's host": (request("GET", "/healthz", "Host: evil.example", host=False), {403}),
    "a host that is none": (request("GET", "/healthz", "Host: [", host=False), {403}),
    "two lengths": (post(b'{"data":1}', "Content-Length: 3"), {400}),
    "a length below nothing": (request("POST", POST, "Content-Length: -1"), {400}),
    "a length that is none": (request("POST", POST, "Content-Length: x"), {400}),
    "a length beyond all": (request("POST", POST, "Content-Length: " + "9" * 30), {400}),
    "a length and chunks": (post(b"0\r\n\r\n", "Transfer-Encoding: chunked"), {400}),
    "an unknown coding": (request("POST", POST, "Transfer-Encoding: x"), {400}),
    "an unknown coding in chunks": (request("POST", POST, "Transfer-Encoding: x, chunked", body=b"0\r\n\r\n"), {400}),
    "zipped chunks": (request("POST", POST, "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), {400}),
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
