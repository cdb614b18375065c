"""Routes that are answered directly answer as they would behind all of Starlette and FastAPI."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from gapless.api.direct_routes import DirectRoutes
from tests.testkit.app_fixture import RunningApp

JSON = {"content-type": "application/json"}
ONE = b'{"data":1}'
OWN = re.compile(r'"(id|timestamp|requestId)": ?"[^"]*"')
OF_EACH = ("content-length", "server-timing", "x-request-id")


@pytest.fixture
def passed_by(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has every request go through all layers, for the rest of the test."""

    def pass_by() -> None:
        monkeypatch.setattr(DirectRoutes, "_find", lambda *_: None)

    return pass_by


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("POST", "/channels/a/messages", JSON, ONE),
        ("POST", "/channels/a/messages", JSON, b'[{"data":1},{"data":2}]'),
        ("POST", "/channels/-/messages", JSON, ONE),
        ("POST", "/channels/a/messages", JSON, b"{"),
        ("POST", "/channels/a/messages", JSON, b'{"user":"ann"}'),
        ("POST", "/channels/a/messages", {}, ONE),
        ("POST", "/channels/a/messages/", JSON, ONE),
        ("PUT", "/channels/a/messages", JSON, ONE),
        ("GET", "/channels/-/stream", {}, b""),
        ("GET", "/channels/a/stream?history=-1", {}, b""),
        ("GET", "/channels/a/stream?mode=buffered&history=1", {}, b""),
        ("GET", "/stream", {}, b""),
        ("HEAD", "/channels/a/stream", {}, b""),
        ("DELETE", "/channels/a/stream", {}, b""),
    ],
)
async def test_the_answer_is_that_of_all_layers(
    served: RunningApp, passed_by: Any, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    direct = await served.client.request(method, path, headers=headers, content=body)
    passed_by()
    usual = await served.client.request(method, path, headers=headers, content=body)
    assert _told(direct) == _told(usual)


def _told(reply: httpx.Response) -> tuple[int, dict[str, str], str]:
    """Without what each answer has of its own."""
    text = "" if reply.headers.get("content-type", "").startswith("text/event-stream") else OWN.sub("", reply.text)
    return reply.status_code, {name: value for name, value in reply.headers.items() if name not in OF_EACH}, text


async def test_only_what_is_read_by_hand_is_answered_directly(served: RunningApp) -> None:
    asked: list[str] = []

    async def rest(scope: Scope, _: Receive, __: Send) -> None:
        asked.append(f"{scope['method']} {scope['path']}")

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            asked.append(f"answered with {message['status']}")

    routes = DirectRoutes(rest, served.app.routes)
    scope = {"type": "http", "query_string": b"", "headers": [], "app": served.app, "root_path": ""}
    for method, path in (("POST", "/channels/a/messages"), ("GET", "/channels/a/messages"), ("GET", "/nothing")):
        await routes({**scope, "method": method, "path": path}, receive, send)
    assert asked == ["answered with 415", "GET /channels/a/messages", "GET /nothing"]


async def test_a_traced_request_passes_every_layer(served: RunningApp) -> None:
    asked: list[str] = []

    async def rest(scope: Scope, _: Receive, __: Send) -> None:
        asked.append(scope["path"])

    scope = {"type": "http", "method": "POST", "path": "/channels/a/messages", "root_path": ""}
    await DirectRoutes(rest, served.app.routes)({**scope, "fastapi.telemetry": object()}, None, None)  # type: ignore[arg-type]
    assert asked == ["/channels/a/messages"]
