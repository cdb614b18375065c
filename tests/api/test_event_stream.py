"""The head of a stream: made once, and each response's own."""

from __future__ import annotations

from typing import Any, cast

from starlette.datastructures import MutableHeaders

from gapless.api.event_stream import LiveBody, LiveResponse

NO_BODY = cast("LiveBody", None)


async def test_what_is_added_to_one_head_is_not_in_the_next() -> None:
    one, two = LiveResponse(NO_BODY), LiveResponse(NO_BODY)
    MutableHeaders(raw=one.raw_headers)["x-added"] = "by a middleware"
    assert two.raw_headers == one.raw_headers[:-1]
    assert two.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert two.headers["cache-control"] == "no-store, no-transform"
    assert "connection" not in two.headers


async def test_to_head_it_is_all_there_is() -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "HEAD"}
    await LiveResponse(NO_BODY)(scope, cast("Any", None), send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["headers"] == LiveResponse(NO_BODY).raw_headers
    assert sent[1]["body"] == b"" and not sent[1].get("more_body")
    assert "gapless.body" not in scope
