"""Streams, waits, echoes, and tells what it sees."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from vercel_runtime import get_deadline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

if os.environ.get("TOY_BREAKS") == "import":
    raise RuntimeError("the toy breaks at import")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    if os.environ.get("TOY_BREAKS") == "lifespan":
        raise RuntimeError("the toy breaks in its lifespan")
    print("lifespan begins")
    yield
    print("lifespan ends")


app = FastAPI(lifespan=lifespan)
app.state.ticks = 0
app.state.ticked = asyncio.Event()


@app.get("/")
async def see(request: Request) -> dict[str, Any]:
    deadline = get_deadline()
    return {
        "pid": os.getpid(),
        "folder": str(Path.cwd()),
        "deadline": deadline and deadline.timestamp(),
        "environment": dict(os.environ),
        "headers": dict(request.headers),
        "client": request.client and request.client.host,
        "scheme": request.url.scheme,
    }


@app.post("/tick")
async def tick() -> None:
    app.state.ticks += 1
    app.state.ticked.set()
    app.state.ticked = asyncio.Event()


@app.get("/ticks")
async def stream() -> StreamingResponse:
    async def numbers() -> AsyncIterator[str]:
        try:
            while True:
                yield f"data: {app.state.ticks}\n\n"
                await app.state.ticked.wait()
        finally:
            print("the stream ends")

    return StreamingResponse(numbers(), media_type="text/event-stream")


@app.get("/silent")
async def silent() -> None:
    await asyncio.Event().wait()


@app.post("/size")
async def size(request: Request) -> int:
    return len(await request.body())
