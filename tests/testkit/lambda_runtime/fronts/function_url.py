"""A Lambda Function URL (BUFFERED): payload 2.0, but the path stays percent-encoded and there are no stages.

Shapes: "Invoking Lambda function URLs", Lambda developer guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import result as results
from .http_api import event_2_0, reply_2_0
from .port import EVENT_LIMIT, RESULT_LIMIT, Fault, Setup, Stamp, arriving

if TYPE_CHECKING:
    from .exchange import Reply, Request

URL_ID = "k3bdq7exampleurlid5x2ma0v8f9w4tz"
TOO_LARGE = b'{"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}'
ERROR = (502, "text/plain", b"Internal Server Error")
REMAPPED = frozenset({"date", "server", "www-authenticate"})


@dataclass(frozen=True, slots=True)
class FunctionUrl:
    """It waits for as long as the function may run (up to 900 s)."""

    front_timeout: float | None = None
    body_limit: int = EVENT_LIMIT
    event_limit: int = EVENT_LIMIT
    result_limit: int = RESULT_LIMIT
    header_limit: int | None = None

    @property
    def faults(self) -> Any:
        return dict.fromkeys(Fault, ERROR) | {
            Fault.THROTTLED: (429, "application/json", b'{"Reason":null,"Message":"Rate Exceeded."}'),
            Fault.REQUEST_TOO_LARGE: (413, "application/json", TOO_LARGE),
        }

    def prefix(self, setup: Setup) -> str:
        return ""

    def event(self, request: Request, setup: Setup, stamp: Stamp) -> dict[str, Any]:
        host = f"{URL_ID}.lambda-url.{setup.region}.on.aws"
        event = event_2_0(request, arriving(request, setup, stamp, host), request.path, setup, stamp)
        event["requestContext"] |= {
            "accountId": "anonymous",
            "apiId": URL_ID,
            "domainName": host,
            "domainPrefix": URL_ID,
            "stage": "$default",
        }
        return event

    def reply(self, result: bytes, request: Request, setup: Setup, stamp: Stamp) -> Reply:
        reply = reply_2_0(result, (("x-amzn-requestid", stamp.request_id), ("x-amzn-trace-id", stamp.trace_id)))
        return type(reply)(reply.status, results.remapped(reply.headers, REMAPPED), reply.body)
