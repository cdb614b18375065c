"""Finds out who sends a request: its token or ticket, and its address. (docs/security.md)

An address is taken from a header only where the platform guarantees that header.
"""

from __future__ import annotations

import hmac
from collections.abc import MutableMapping
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security.utils import get_authorization_scheme_param

from gapless.api.dependencies import service as service_of
from gapless.api.loopback import why_not_local
from gapless.api.service import Service
from gapless.auth.grant import EVERYBODY, Grant
from gapless.auth.tickets import Tickets
from gapless.config.origins import is_own
from gapless.log.errors import Forbidden, Unauthorized

_READING = ("GET", "HEAD")

COOKIE = "gapless_token"

SCHEMES: dict[str, dict[str, str]] = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
    "access_token": {"type": "apiKey", "in": "query", "name": "access_token"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
}
"""Where a token may stand, as OpenAPI has it."""


async def writer(request: Request) -> Grant:
    """The grant of a client that wants to write or administer: by header or cookie, never by the URL."""
    service = service_of(request)
    if service.verifier is None:
        return EVERYBODY
    if token := _bearer(request):
        return await service.verifier.verify(token)
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        raise _nobody()
    if request.method not in _READING:
        _must_be_our_page(request, service)
    return await service.verifier.verify(cookie)


async def reader(request: Request) -> Grant:
    """The grant of a client that wants to read: as a writer's, or by the queries `access_token` and `ticket`."""
    service = service_of(request)
    if service.verifier is None:
        return EVERYBODY
    if ticket := request.query_params.get("ticket"):
        return _tickets(service).verify(ticket, service.clock())
    token = _bearer(request) or request.query_params.get("access_token") or request.cookies.get(COOKIE)
    if not token:
        raise _nobody()
    return await service.verifier.verify(token)


def must_be_there_himself(request: Request, service: Service) -> None:
    """Raises Forbidden where another site's page would say by a visitor's cookie that he is there: that is written.

    The service's own page names no origin when it reads, but then browsers tell of whose site a page is.
    """
    query = request.query_params
    by_cookie = not (_bearer(request) or query.get("ticket") or query.get("access_token"))
    if service.verifier is not None and by_cookie:
        another = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if another or "origin" in request.headers:
            _must_be_our_page(request, service)


async def leaver(request: Request) -> Grant:
    """The grant of a client that says it leaves: as a writer's, or by a ticket, which a page's beacon can carry."""
    service = service_of(request)
    if service.verifier is not None and (ticket := request.query_params.get("ticket")):
        return _tickets(service).verify(ticket, service.clock())
    return await writer(request)


async def must_scrape(request: Request) -> None:
    """Raises Refused unless the client may see the numbers of this process.

    The token made for that may, and administrators; without keys also whoever is on this machine.
    """
    service = service_of(request)
    known, given = service.settings.metrics_token, _bearer(request)
    if known is not None and hmac.compare_digest(given.encode(), known.get_secret_value().encode()):
        return
    if service.verifier is not None:
        (await writer(request)).must_administer()
    elif (why := why_not_local(request.scope, service.origins)) is not None:
        raise Forbidden(f"Beyond this machine this needs the token of GAPLESS_METRICS_TOKEN, and {why}.")


_ACCEPTED: dict[Any, tuple[str, ...]] = {
    writer: ("token", "cookie"),
    leaver: ("token", "cookie", "ticket"),
    reader: ("token", "ticket", "access_token", "cookie"),
}


def accepted(by: Any) -> list[dict[str, list[str]]]:
    """The schemes that one of these takes, as an operation names them; none for anything else.

    One function reads them all: as a tree of dependencies, one a scheme, they were a third of what a publish cost.
    """
    return [{name: []} for name in _ACCEPTED.get(by, ())]


def _bearer(request: Request) -> str:
    """The token of the header; "" where there is none. Other schemes are for a proxy before this service."""
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    return token if scheme.lower() == "bearer" else ""


def _tickets(service: Service) -> Tickets:
    if service.tickets is None:
        raise Unauthorized("This service makes no tickets: GAPLESS_TICKET_SECRET is not set.")
    return service.tickets


def _nobody() -> Unauthorized:
    return Unauthorized(
        "This needs a token: Authorization: Bearer …, the cookie gapless_token, or ?access_token= to read."
    )


def _must_be_our_page(request: Request, service: Service) -> None:
    """A browser sends cookies for every page. Only our own page, or one of an allowed origin, may write."""
    origin, host = request.headers.get("origin", ""), request.headers.get("host")
    if not is_own(origin, host) and not service.origins.names(origin):
        raise Forbidden("A cookie may write only from an allowed origin; add this page's to GAPLESS_ORIGINS.")


def address(scope: MutableMapping[str, Any], platform: str, proxies: int) -> str | None:
    """The client's address, if the platform guarantees it. A header that anyone can send is never believed."""
    forwarded = [part.strip() for value in _values(scope, b"x-forwarded-for") for part in value.split(",")]
    peer = _peer(scope, forwarded)
    context = (scope.get("aws.event") or {}).get("requestContext") or {}
    if platform == "vercel":  # Vercel overwrites this header on every request
        return next(iter(_values(scope, b"x-real-ip")), None)
    if platform == "lambda-adapter" or "elb" in context:  # AWS's fronts add the peer's address at the end
        return forwarded[-1] if forwarded else None
    if platform == "server" and proxies:
        return forwarded[-proxies] if len(forwarded) >= proxies else peer
    return peer


def _peer(scope: MutableMapping[str, Any], forwarded: list[str]) -> str | None:
    """The peer's address; None where the server may have put one of a header in its place.

    uvicorn does so by default for peers on loopback, and by nothing else can the app tell: such a client would choose
    its own address, and so have a rate for each.
    """
    peer: str | None = scope["client"][0] if scope.get("client") else None
    return None if peer is not None and any(peer in part for part in forwarded) else peer


def _values(scope: MutableMapping[str, Any], header: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == header]


def address_of(request: Request, service: Service) -> str | None:
    """The address of this request's client."""
    return address(request.scope, service.policy.platform, service.settings.proxies)


async def _address(request: Request) -> str | None:
    return address_of(request, service_of(request))


WriterDep = Annotated[Grant, Depends(writer)]
ReaderDep = Annotated[Grant, Depends(reader)]
LeaverDep = Annotated[Grant, Depends(leaver)]
AddressDep = Annotated[str | None, Depends(_address)]
