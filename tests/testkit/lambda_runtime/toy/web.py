"""A FastAPI application behind Mangum that shows what arrived. It runs as the function, not in the tests' process."""

from __future__ import annotations

import base64
from typing import Any

from fastapi import FastAPI, Request, Response
from mangum import Mangum

app = FastAPI(openapi_url=None)


@app.get("/binary")
def binary() -> Response:
    """Every byte there is."""
    return Response(bytes(range(256)), media_type="application/octet-stream")


@app.get("/cookies", status_code=201)
def cookies(response: Response) -> None:
    """Two cookies, and a header that some fronts rename."""
    response.set_cookie("first", "1; not two")
    response.set_cookie("second", "é".encode().hex())
    response.headers["WWW-Authenticate"] = "Bearer"


@app.get("/problem")
def problem() -> Response:
    """What a client must be able to read as JSON."""
    return Response('{"title":"Größe"}', status_code=404, media_type="application/problem+json")


@app.get("/events")
def events() -> Response:
    """Two blocks of a stream, handed over at once."""
    return Response("id: 1\ndata: eins\n\nid: 2\ndata: zwei\n\n", media_type="text/event-stream")


@app.api_route("/{rest:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def echo(request: Request) -> dict[str, Any]:
    """The request as the application saw it."""
    return {
        "method": request.method,
        "path": request.scope["path"],
        "query": request.query_params.multi_items(),
        "headers": request.headers.items(),
        "cookies": request.cookies,
        "body": base64.b64encode(await request.body()).decode(),
        "client": request.client.host if request.client else None,
        "scheme": request.url.scheme,
        "remaining_ms": request.scope["aws.context"].get_remaining_time_in_millis(),
        "request_id": request.scope["aws.context"].aws_request_id,
    }


handler = Mangum(app, lifespan="off", text_mime_types=["text/", "application/json", "application/problem+json"])
