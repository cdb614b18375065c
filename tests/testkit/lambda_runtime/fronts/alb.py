"""Application Load Balancer with a Lambda target, with and without multi-value headers.

Shapes: "Use Lambda functions as targets of an Application Load Balancer". Paths and query strings arrive
percent-encoded. Without the multi-value setting only the last of a repeated header or query parameter arrives, and
a function can send a header twice only by writing its name in other letters.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from . import result as results
from .exchange import Reply, all_values, last_values
from .port import MEGABYTE, BadResultError, Fault, Setup, Stamp, arriving, carried, is_text

if TYPE_CHECKING:
    from .exchange import Pairs, Request

TARGET_GROUP = "targetgroup/gapless/6d0ecf831eec9f09"


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """It waits for as long as the function may run. Bodies: 1 MB in; 1 MB of JSON out."""

    multi_value: bool
    front_timeout: float | None = None
    body_limit: int = MEGABYTE
    event_limit: int = 6 * MEGABYTE
    result_limit: int = MEGABYTE
    header_limit: int | None = 65_536

    @property
    def faults(self) -> Any:
        """A function that fails, runs out of time, answers too much or is throttled: 502 ("Troubleshoot your …")."""
        return {fault: _page(502) for fault in Fault} | {
            Fault.REQUEST_TOO_LARGE: _page(413),
            Fault.HEADERS_TOO_LARGE: _page(400),
        }

    def prefix(self, setup: Setup) -> str:
        return ""

    def event(self, request: Request, setup: Setup, stamp: Stamp) -> dict[str, Any]:
        host = f"gapless-1234567890.{setup.region}.elb.amazonaws.com"
        headers = arriving(request, setup, stamp, host)
        body, encoded = carried(request.body, as_text=is_text(request))
        group = f"arn:aws:elasticloadbalancing:{setup.region}:123456789012:{TARGET_GROUP}"
        return {
            "requestContext": {"elb": {"targetGroupArn": group}},
            "httpMethod": request.method,
            "path": request.path,
            **self._maps(headers, _split(request.query)),
            "body": body,
            "isBase64Encoded": encoded,
        }

    def _maps(self, headers: Pairs, query: Pairs) -> dict[str, Any]:
        if self.multi_value:
            return {
                "multiValueQueryStringParameters": all_values(query),
                "multiValueHeaders": all_values(headers),
            }
        return {"queryStringParameters": last_values(query), "headers": last_values(headers)}

    def reply(self, result: bytes, request: Request, setup: Setup, stamp: Stamp) -> Reply:
        answer = results.parsed(result)
        if not isinstance(answer, dict):
            raise BadResultError("no object")
        status = results.status_of(answer)
        described = answer.get("statusDescription", f"{status} ")
        if not isinstance(described, str) or not described.startswith(f"{status} "):
            raise BadResultError(f"statusDescription {described!r}")
        headers = results.multi_headers(answer) if self.multi_value else results.single_headers(answer)
        return Reply(status, headers, results.body_of(answer))


def _split(query: str) -> Pairs:
    halves = [part.partition("=") for part in query.split("&") if part]
    return tuple((name, value) for name, _, value in halves)


def _page(status: int) -> tuple[int, str, bytes]:
    title = f"{status} {HTTPStatus(status).phrase}"
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><center><h1>{title}</h1></center></body>\r\n</html>"
    return status, "text/html", page.encode()
