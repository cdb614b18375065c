"""What others do, on the same routes: a generator per stream, under sse-starlette's response and Starlette's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse as NativeEvents
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


def _peer(kind: str) -> Starlette:
    queues: set[asyncio.Queue[str]] = set()

    async def publish(request: Request) -> Response:
        text = json.dumps(await request.json())
        for queue in queues:
            queue.put_nowait(text)
        return JSONResponse({}, 201)

    async def messages() -> AsyncIterator[str]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        queues.add(queue)
        try:
            yield "{}"
            while True:
                yield await queue.get()
        finally:
            queues.discard(queue)

    async def events(_: Request) -> Response:
        if kind == "sse-starlette":
            return EventSourceResponse({"data": text} async for text in messages())
        return StreamingResponse((f"data: {text}\n\n" async for text in messages()), media_type="text/event-stream")

    async def health(_: Request) -> Response:
        return Response()

    path = "/channels/bench"
    return Starlette(
        routes=[
            Route(f"{path}/messages", publish, methods=["POST"]),
            Route(f"{path}/stream", events),
            Route("/healthz", health),
        ]
    )


sse_starlette = _peer("sse-starlette")
streaming = _peer("streaming")

fastapi_sse = FastAPI()
"""FastAPI's native server-sent events: a generator per stream."""
_queues: set[asyncio.Queue[dict[str, Any]]] = set()


@fastapi_sse.get("/healthz")
async def _well() -> dict[str, str]:
    return {}


@fastapi_sse.post("/channels/bench/messages", status_code=201)
async def _publish(message: dict[str, Any]) -> dict[str, str]:
    for queue in _queues:
        queue.put_nowait(message)
    return {}


@fastapi_sse.get("/channels/bench/stream", response_class=NativeEvents)
async def _events() -> AsyncIterable[dict[str, Any]]:
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    _queues.add(queue)
    try:
        yield {}
        while True:
            yield await queue.get()
    finally:
        _queues.discard(queue)


fastapi_post = FastAPI()
"""A bare route: reads a body of JSON and answers."""


@fastapi_post.get("/healthz")
async def _healthz() -> dict[str, str]:
    return {}


@fastapi_post.post("/channels/bench/messages", status_code=201)
async def _take(message: dict[str, Any]) -> dict[str, int]:
    return {"members": len(message)}
