"""Anything at all, to a service as it is run: never a 5xx, never a hang, and healthy afterwards."""

from __future__ import annotations

import socket

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.testkit import fuzz_inputs as strange
from tests.testkit.raw_http import CHUNKED, CHUNKS, connect, post, request, speak, statuses, works
from tests.testkit.service import Service

pytestmark = pytest.mark.usefixtures("unhurt")
EASY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


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
