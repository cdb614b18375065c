"""API Gateway HTTP API, payload formats 2.0 and 1.0.

Shapes: "Create AWS Lambda proxy integrations for HTTP APIs", API Gateway developer guide. Not in the guide but seen
on the live service: the path arrives percent-decoded in both formats (and ends at a decoded `?`), a named stage is
part of it, the query string stays as it was sent, and only text/* and JSON, JavaScript and XML bodies are strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from . import result as results
from .exchange import Reply, all_values, joined_values, last_values
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
    is_text,
    json_faults,
)

if TYPE_CHECKING:
    from .exchange import Pairs, Request

API_ID = "a1b2c3d4e5"
ACCOUNT = "123456789012"
ERROR = (500, "Internal Server Error")
UNAVAILABLE = (503, "Service Unavailable")


@dataclass(frozen=True, slots=True)
class HttpApi:
    """`payload` is `2.0` or `1.0`."""

    payload: str
    front_timeout: float | None = 30.0
    body_limit: int = 10 * MEGABYTE
    event_limit: int = EVENT_LIMIT
    result_limit: int = RESULT_LIMIT
    header_limit: int | None = 10_240

    @property
    def faults(self) -> Any:
        """An HTTP API answers 500 for a function that failed or timed out, 503 where it gives up by itself."""
        return json_faults(
            function_error=ERROR,
            function_timeout=ERROR,
            front_timeout=UNAVAILABLE,
            throttled=UNAVAILABLE,
            request_too_large=(413, "Request Entity Too Large"),
            headers_too_large=(431, "Request Header Fields Too Large"),
            result_too_large=ERROR,
            bad_result=ERROR,
            no_route=(404, "Not Found"),
        )

    def prefix(self, setup: Setup) -> str:
        return f"/{setup.stage}" if setup.stage else ""

    def event(self, request: Request, setup: Setup, stamp: Stamp) -> dict[str, Any]:
        host = f"{API_ID}.execute-api.{setup.region}.amazonaws.com"
        headers = arriving(request, setup, stamp, host)
        path = unquote(request.path).partition("?")[0]
        build = event_2_0 if self.payload == "2.0" else _event_1_0
        event = build(request, headers, path, setup, stamp)
        event["requestContext"] |= {
            "accountId": ACCOUNT,
            "apiId": API_ID,
            "domainName": host,
            "domainPrefix": API_ID,
        }
        return event

    def reply(self, result: bytes, request: Request, setup: Setup, stamp: Stamp) -> Reply:
        own = (("apigw-requestid", stamp.request_id),)
        if self.payload == "2.0":
            return reply_2_0(result, own)
        answer = results.parsed(result)
        if not isinstance(answer, dict):
            raise BadResultError("no object")
        headers = _typed(results.merged_headers(answer))
        return Reply(results.status_of(answer), headers + own, results.body_of(answer))


def event_2_0(request: Request, headers: Pairs, path: str, setup: Setup, stamp: Stamp) -> dict[str, Any]:
    """A 2.0 event, without the names of the front in its request context."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": joined_values(pair for pair in headers if pair[0] != "cookie"),
        "requestContext": {
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": setup.source_ip,
                "userAgent": request.header("user-agent"),
            },
            "requestId": stamp.request_id,
            "routeKey": "$default",
            "stage": setup.stage or "$default",
            "time": stamp.clf_time,
            "timeEpoch": stamp.epoch_ms,
        },
        "isBase64Encoded": False,
    }
    if request.cookies:
        event["cookies"] = request.cookies
    if request.query:
        event["queryStringParameters"] = joined_values(decoded_query(request.query))
    if request.body:
        event["body"], event["isBase64Encoded"] = carried(request.body, as_text=is_text(request))
    return event


def reply_2_0(result: bytes, own: Pairs) -> Reply:
    """Payload 2.0: what has no statusCode is itself the body of a 200 with JSON."""
    try:
        answer = results.parsed(result)
    except BadResultError:
        answer = None
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return Reply(200, (("content-type", "application/json"), *own), result)
    cookies = answer.get("cookies") or []
    if not isinstance(cookies, list) or not all(isinstance(cookie, str) for cookie in cookies):
        raise BadResultError("cookies is no list of strings")
    headers = _typed(results.single_headers(answer)) + tuple(("set-cookie", cookie) for cookie in cookies)
    return Reply(results.status_of(answer), headers + own, results.body_of(answer))


def _typed(headers: Pairs) -> Pairs:
    if any(name == "content-type" for name, _ in headers):
        return headers
    return (("content-type", "text/plain; charset=utf-8"), *headers)


def _event_1_0(request: Request, headers: Pairs, path: str, setup: Setup, stamp: Stamp) -> dict[str, Any]:
    cased = tuple((title_case(name), value) for name, value in headers)
    query = decoded_query(request.query)
    body, encoded = carried(request.body, as_text=is_text(request))
    return {
        "version": "1.0",
        "resource": "$default",
        "path": path,
        "httpMethod": request.method,
        "headers": last_values(cased),
        "multiValueHeaders": all_values(cased),
        "queryStringParameters": last_values(query) or None,
        "multiValueQueryStringParameters": all_values(query) or None,
        "requestContext": {
            "extendedRequestId": stamp.request_id,
            "httpMethod": request.method,
            "identity": {"sourceIp": setup.source_ip, "userAgent": request.header("user-agent")},
            "path": path,
            "protocol": "HTTP/1.1",
            "requestId": stamp.request_id,
            "requestTime": stamp.clf_time,
            "requestTimeEpoch": stamp.epoch_ms,
            "resourceId": "$default",
            "resourcePath": "$default",
            "stage": setup.stage or "$default",
        },
        "pathParameters": None,
        "stageVariables": None,
        "body": body or None,
        "isBase64Encoded": encoded,
    }


def title_case(name: str) -> str:
    """Formats before 2.0 keep the client's letters; HTTP/1.1 clients mostly write `Last-Event-Id`."""
    return "-".join(part.capitalize() for part in name.split("-"))
