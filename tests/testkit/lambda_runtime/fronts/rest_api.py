"""API Gateway REST API with Lambda proxy integration.

Shapes: "Lambda proxy integrations in API Gateway" and "Return binary media from a Lambda proxy integration". There is
always a stage; it is in the URL and in `requestContext.path`, but not in `path`. On a custom domain the base path
stands in its place, and is in `path` too; only `proxy` is without it. Paths stay percent-encoded, query parameters
come decoded. A base64 body is decoded only where the request's first Accept value is one of the API's
binary media types; otherwise the client gets base64.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from . import result as results
from .exchange import Reply, all_values, last_values
from .http_api import ACCOUNT, API_ID, title_case
from .port import (
    EVENT_LIMIT,
    MEGABYTE,
    RESULT_LIMIT,
    BadResultError,
    Setup,
    Stamp,
    arriving,
    carried,
    decoded_query,
    json_faults,
)

if TYPE_CHECKING:
    from .exchange import Request

FIELDS = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}
REMAPPED = frozenset({"date", "server", "www-authenticate"})
ERROR = (502, "Internal server error")


@dataclass(frozen=True, slots=True)
class RestApi:
    """It waits 29 s. (`transferMode: STREAM` needs a runtime that streams; Python's does not.)"""

    front_timeout: float | None = 29.0
    body_limit: int = 10 * MEGABYTE
    event_limit: int = EVENT_LIMIT
    result_limit: int = RESULT_LIMIT
    header_limit: int | None = 10_240

    @property
    def faults(self) -> Any:
        """What Lambda refuses to invoke is a 500, what the function spoils a 502."""
        return json_faults(
            function_error=ERROR,
            function_timeout=ERROR,
            front_timeout=(504, "Endpoint request timed out"),
            throttled=(500, "Internal server error"),
            request_too_large=(413, "Request Too Long"),
            headers_too_large=(431, "Request Header Fields Too Large"),
            result_too_large=ERROR,
            bad_result=ERROR,
            no_route=(403, "Missing Authentication Token"),
        )

    def prefix(self, setup: Setup) -> str:
        return f"/{setup.base_path or setup.stage or 'prod'}"

    def event(self, request: Request, setup: Setup, stamp: Stamp) -> dict[str, Any]:
        host = f"{API_ID}.execute-api.{setup.region}.amazonaws.com"
        own = request.path.removeprefix(self.prefix(setup)) or "/"
        resource = "/" if own == "/" else "/{proxy+}"
        headers = tuple(
            (title_case(name), value)
            for name, value in arriving(request, setup, stamp, host)
            if name not in {"content-length", "connection"}
        )
        query = decoded_query(request.query)
        binary = _listed(request.header("content-type"), setup.binary_media_types)
        body, encoded = carried(request.body if binary else _as_text(request.body), as_text=not binary)
        return {
            "resource": resource,
            "path": request.path if setup.base_path else own,
            "httpMethod": request.method,
            "headers": last_values(headers),
            "multiValueHeaders": all_values(headers),
            "queryStringParameters": last_values(query) or None,
            "multiValueQueryStringParameters": all_values(query) or None,
            "pathParameters": None if own == "/" else {"proxy": unquote(own[1:])},
            "stageVariables": None,
            "requestContext": self._context(request, setup, stamp, host) | {"resourcePath": resource},
            "body": body or None,
            "isBase64Encoded": encoded,
        }

    def _context(self, request: Request, setup: Setup, stamp: Stamp, host: str) -> dict[str, Any]:
        return {
            "accountId": ACCOUNT,
            "apiId": API_ID,
            "domainName": host,
            "domainPrefix": API_ID,
            "extendedRequestId": stamp.request_id,
            "httpMethod": request.method,
            "identity": {"sourceIp": setup.source_ip, "userAgent": request.header("user-agent")},
            "path": request.path,
            "protocol": "HTTP/1.1",
            "requestId": stamp.request_id,
            "requestTime": stamp.clf_time,
            "requestTimeEpoch": stamp.epoch_ms,
            "resourceId": "123456",
            "stage": setup.stage or "prod",
        }

    def reply(self, result: bytes, request: Request, setup: Setup, stamp: Stamp) -> Reply:
        answer = results.parsed(result)
        if not isinstance(answer, dict) or not answer.keys() <= FIELDS:
            raise BadResultError("no object of the known fields")
        binary = _listed(request.header("accept"), setup.binary_media_types)
        headers = results.remapped(results.merged_headers(answer), REMAPPED)
        if not any(name == "content-type" for name, _ in headers):
            headers = (("content-type", "application/json"), *headers)
        own = (("x-amzn-requestid", stamp.request_id), ("x-amzn-trace-id", stamp.trace_id))
        return Reply(results.status_of(answer), headers + own, results.body_of(answer, decode=binary))


def _listed(header: str, media_types: tuple[str, ...]) -> bool:
    first = header.partition(",")[0].partition(";")[0].strip().lower()
    return any(fnmatchcase(first or "*/*", media_type) for media_type in media_types)


def _as_text(body: bytes) -> bytes:
    # Without binary media types an API takes every body for text, and bytes that are none are lost.
    return body.decode(errors="replace").encode()
