"""What a connection is after an answer: in step, or closed. With `gapless serve`, and what holds with bare uvicorn."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from tests.front.test_bounds import memory
from tests.testkit.raw_http import connect, post, request, speak, statuses
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey, start_valkey

pytestmark = pytest.mark.real(seconds=1)

SERVERS = {
    "gapless": ("gapless", ()),
    "httptools": ("uvicorn", ("--http", "httptools", "--no-proxy-headers")),
    "h11": ("uvicorn", ("--http", "h11", "--no-proxy-headers")),
}
KEEP = "Connection: keep-alive"
OFFER = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
MESSAGE = b'{"data":1}'
SMUGGLED = b"DELETE /channels/raw HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Service]]:
    """One of each server, on one store."""
    with ExitStack() as stack:
        store = stack.enter_context(start_valkey(tmp_path_factory.mktemp("connections")))
        env = {"REDIS_URL": store.url, "GAPLESS_LIFETIME": "0.5", "GAPLESS_RATE": "0"}
        yield {
            name: stack.enter_context(Service(env, server=server, args=args))  # type: ignore[arg-type]
            for name, (server, args) in SERVERS.items()
        }


@pytest.fixture(params=["gapless", "httptools", "h11"])
def served(request: pytest.FixtureRequest, services: dict[str, Service]) -> Service:
    return services[request.param]


def rest_of(sock: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    received = b""
    while piece := sock.recv(65_536):
        received += piece
    return received


def answer(sock: socket.socket) -> bytes:
    """One answer that has a length."""
    received = b""
    while b"\r\n\r\n" not in received or len(received) < length_of(received):
        piece = sock.recv(65_536)
        assert piece, received
        received += piece
    assert len(received) == length_of(received), received
    return received


def length_of(received: bytes) -> int:
    head, _, _ = received.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head.lower())
    assert found, received
    return len(head) + 4 + int(found[1])


UNREAD = {
    "refused": request("POST", "/channels/raw/messages", KEEP, "Content-Type: text/plain", "Content-Length: 10"),
    "refused, in chunks": request(
        "POST", "/channels/raw/messages", KEEP, "Content-Type: text/plain", "Transfer-Encoding: chunked", body=b"8\r\n"
    ),
    "answered": request("GET", "/healthz", KEEP, "Content-Length: 10"),
    "no such path": request("PUT", "/nothing", KEEP, "Content-Length: 10"),
    "to be continued": request("POST", "/tickets", KEEP, "Expect: 100-continue", "Content-Length: 10"),
}


@pytest.mark.parametrize("raw", UNREAD.values(), ids=UNREAD)
def test_who_does_not_send_what_nobody_reads_is_not_kept(served: Service, raw: bytes) -> None:
    with connect(served) as sock:
        sock.sendall(raw + b"{")
        reply = answer(sock)
        assert b"connection: close" in reply.lower()
        assert len(statuses(reply + rest_of(sock))) == 1


def test_who_is_refused_and_has_sent_it_all_goes_on(served: Service) -> None:
    refused = request("POST", "/tickets", KEEP, "Content-Type: text/plain", "Content-Length: 2", body=b"")
    with connect(served) as sock:
        for _ in range(3):
            sock.sendall(refused)
            sock.sendall(b"{}")
            reply = answer(sock)
            assert statuses(reply) == [415], reply
            assert b"connection: close" not in reply.lower()


def test_a_long_body_does_not_hide_its_refusal(served: Service) -> None:
    with connect(served) as sock:
        sock.sendall(post(b'{"data":"' + b"x" * 400_000 + b'"}', KEEP))
        assert statuses(answer(sock)) == [413]


# --- much in little


@pytest.mark.parametrize("name", ["gapless", "h11"])
def test_forty_thousand_headers_are_none(services: dict[str, Service], name: str) -> None:
    assert statuses(speak(services[name], request("GET", "/healthz", *["a:"] * 40_000))) == [400]


@pytest.mark.parametrize("name", ["gapless", "h11"])
def test_who_asks_for_thousands_at_once_costs_a_few(services: dict[str, Service], name: str) -> None:
    """The answers are not read: 300 MiB were held for this, and each departure told of in sixty lines."""
    service, asked = services[name], request("GET", "/openapi.json", KEEP) * 3_000
    assert httpx.get(f"{service.url}/openapi.json", trust_env=False).status_code == 200
    before, log = memory(service), len(service.log)
    with ExitStack() as stack:
        socks = [stack.enter_context(connect(service)) for _ in range(20)]
        for sock in socks:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(0.2)
            with suppress(TimeoutError):
                sock.sendall(asked)
        assert httpx.get(f"{service.url}/healthz", trust_env=False).status_code == 200
        assert memory(service) - before < 40_000_000
        for sock in socks[::2]:  # these leave with a reset
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert httpx.get(f"{service.url}/healthz", trust_env=False).status_code == 200
    assert "Traceback" not in service.log[log:]


# --- smuggling


@pytest.mark.parametrize("name", ["gapless", "h11"])
@pytest.mark.parametrize("parts", [1, 2])
def test_an_offered_upgrade_is_ignored(services: dict[str, Service], name: str, parts: int) -> None:
    head = request(
        "POST", "/channels/a/messages", *OFFER, "Content-Type: application/json", f"Content-Length: {len(MESSAGE)}"
    )
    chunked = request(
        "POST", "/channels/a/messages", *OFFER, "Content-Type: application/json", "Transfer-Encoding: chunked"
    )
    chunks = b"a\r\n" + MESSAGE + b"\r\n0\r\n\r\n"
    for first, second in ((head, MESSAGE), (chunked, chunks)):
        pieces = [first + second] if parts == 1 else [first, second]
        with connect(services[name]) as sock:
            for piece in pieces:
                sock.sendall(piece)
            assert statuses(answer(sock)) == [201]
            if name == "gapless":  # the other server is told from the app, which can't know whether it is in step
                sock.sendall(request("GET", "/healthz"))
                assert statuses(rest_of(sock)) == [200]


@pytest.mark.parametrize("body", [SMUGGLED, SMUGGLED * 50], ids=["one", "many"])
def test_a_body_is_never_a_request(services: dict[str, Service], served: Service, body: bytes) -> None:
    url = f"{served.url}/channels/raw/messages"
    kept = httpx.post(url, json={"data": "kept"}, trust_env=False)
    head = request(
        "POST", "/channels/raw/messages", *OFFER, "Content-Type: application/json", f"Content-Length: {len(body)}"
    )
    with connect(served) as sock:
        sock.sendall(head)
        if served is services["httptools"]:
            reply = answer(sock)
            assert b"connection: close" in reply.lower()
            assert b"gapless serve" in reply
            try:
                sock.sendall(body)
            except OSError:
                return
        else:
            sock.sendall(body + request("GET", "/healthz"))
            reply = rest_of(sock)
        assert statuses(reply) in ([400], [400, 200])
    assert kept.json()["id"] in httpx.get(url, trust_env=False).text, "nothing was deleted"


# --- versions of HTTP


@pytest.mark.parametrize("name", ["gapless", "h11"])
def test_http_1_0_gets_a_stream_without_chunk_sizes(services: dict[str, Service], name: str) -> None:
    reply = speak(services[name], b"GET /channels/a/stream HTTP/1.0\r\nHost: localhost\r\n\r\n")
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body.startswith(b"retry: ")
    assert body.endswith(b'event: end\ndata: {"reason":"deadline"}\n\n')


def test_a_stream_says_nothing_of_its_connection(served: Service) -> None:
    """HTTP/1.1 keeps it anyway; HTTP/2 forbids the header (RFC 9113, 8.2.2)."""
    reply = speak(served, request("GET", "/channels/a/stream", KEEP) + request("GET", "/healthz"))
    assert statuses(reply) == [200, 200]
    assert b"connection: keep-alive" not in reply.lower()


# --- addresses


def test_an_address_that_the_client_chose_is_nobodys(valkey: Valkey) -> None:
    """uvicorn puts it in the peer's place, by default, for whoever comes over loopback."""
    env = {"REDIS_URL": valkey.url, "GAPLESS_PUBLIC": "true", "GAPLESS_RATE": "0.001"}
    with Service({**env, "GAPLESS_BURST": "1"}, server="uvicorn") as service:
        url = f"{service.url}/channels/addresses/messages"
        sent = [
            httpx.post(url, json={"data": 1}, headers={"X-Forwarded-For": spoofed}, trust_env=False).status_code
            for spoofed in ("203.0.113.1", "203.0.113.2:80", "[2001:db8::1]:80", "no address")
        ]
    assert sent == [201, 429, 429, 429]
