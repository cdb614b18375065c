"""A service without keys behind a real nginx: what can be told apart from this machine's own requests is refused."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.testkit.isolation import isolated
from tests.testkit.nginx import nginx
from tests.testkit.process import Process
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=5)

MESSAGES, STREAM = "/channels/a/messages", "/channels/a/stream"
# What nginx 1.29.7 and newer sends for a bare `proxy_pass`.
NEWER = 'proxy_http_version 1.1; proxy_set_header Connection "";'


@pytest.fixture(scope="module")
def bare(running: Service) -> Iterator[str]:
    """`proxy_pass` and nothing else, at `/`; as newer versions send it, at `/newer/`."""
    with nginx(
        f"location / {{ proxy_pass {running.url}; }} location /newer/ {{ proxy_pass {running.url}/; {NEWER} }}"
    ) as url:
        yield url


def ask(url: str, method: str = "GET", *, uds: str | None = None, **headers: str) -> httpx.Response:
    with httpx.Client(transport=httpx.HTTPTransport(uds=uds), timeout=10) as client:
        return client.request(method, url, headers=headers, json={"data": 1} if method == "POST" else None)


def test_a_bare_proxy_opens_nothing(bare: str) -> None:
    """It names the service's own loopback address as Host, and adds no header."""
    for headers in ({}, {"Host": "chat.example.com"}, {"Host": "localhost"}):
        for method, path in (("POST", MESSAGES), ("GET", MESSAGES), ("GET", STREAM), ("GET", "/")):
            reply = ask(bare + path, method, **headers)
            assert (reply.status_code, reply.headers["content-type"]) == (403, "application/problem+json")
            assert "GAPLESS_PUBLIC=true" in reply.json()["detail"]


def test_through_a_newer_one_pages_of_other_origins_get_nothing(bare: str) -> None:
    """Its requests look like this machine's own; only what browsers add tells."""
    page = {"Host": "chat.example.com", "Origin": "https://chat.example.com", "Sec-Fetch-Site": "same-origin"}
    image = {"Host": "chat.example.com", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    for headers in (page, {**page, "Origin": "https://evil.example"}, image):
        for method, path in (("POST", MESSAGES), ("GET", MESSAGES), ("GET", STREAM)):
            assert ask(f"{bare}/newer{path}", method, **headers).status_code == 403


def test_what_cannot_be_told_is_said_at_the_start_and_in_the_docs(bare: str, running: Service) -> None:
    assert ask(f"{bare}/newer{MESSAGES}", Host="chat.example.com").status_code == 200, "who is asked can't know"
    assert "proxy_pass" in running.log
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    assert "`proxy_pass`" in page


def test_a_unix_socket_is_local_and_a_proxy_before_it_is_not(running: Service, tmp_path: Path) -> None:
    path = tmp_path / "gapless.sock"
    argv = [sys.executable, "-m", "uvicorn", "gapless.asgi:app", "--uds", str(path)]
    process = Process("uvicorn on a unix socket", argv, env={**isolated(os.environ), **running.env})
    try:
        process.wait_for_line("Uvicorn running on", alarm=30)
        assert ask("http://localhost" + MESSAGES, "POST", uds=str(path)).status_code == 201
        assert ask("http://chat.example.com" + MESSAGES, uds=str(path)).status_code == 403
        with nginx(f"location / {{ proxy_pass http://unix:{path}; }}") as url:
            assert ask(url + MESSAGES).status_code == 403
    finally:
        process.kill()
