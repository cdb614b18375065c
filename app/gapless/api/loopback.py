"""Decides from a request alone whether it comes from this machine. Pure.

Two cases can't be seen: a proxy on this machine that adds no header and names a loopback host (nginx 1.29.7 and newer
with a bare `proxy_pass`), and a tunnel of bytes (`ssh -R`) whose user sends `Host: localhost`. See docs/security.md.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import Scope

from gapless.config.origins import Origins

# Proxies, tunnels and CDNs add these; clients do not. (Request ids and trace contexts are left out: clients have them.)
_ADDED = frozenset(
    {
        *(b"forwarded", b"via", b"x-forwarded", b"cdn-loop", b"surrogate-capability", b"max-forwards", b"client-cert"),
        *(b"x-scheme", b"x-url-scheme", b"front-end-https", b"x-real-port", b"x-proxy", b"x-varnish"),
        *(b"x-original-host", b"x-original-proto", b"x-original-url", b"x-original-for"),
        *(b"x-request-start", b"connect-time", b"total-route-time", b"x-cloud-trace-context"),
        *(b"disguised-host", b"was-default-hostname", b"x-site-deployment-id", b"rndr-id", b"x-exposed-by"),
    }
)
_ADDED_BEGIN = (
    *(b"x-forwarded-", b"cf-", b"x-amzn-", b"x-amz-cf-", b"cloudfront-", b"fly-", b"fastly-", b"akamai-", b"x-akamai-"),
    *(b"x-vercel-", b"x-nf-", b"x-envoy-", b"x-azure-", b"x-fd-", b"x-arr-", b"x-appservice-", b"x-ms-edge-"),
    *(b"x-appengine-", b"x-railway-", b"tailscale-", b"ngrok-", b"x-ngrok-", b"x-zrok-", b"x-pagekite-", b"x-ssl-"),
)
# Whose address it was, in whatever vendor's words: True-Client-IP, X-Sucuri-ClientIP, DO-Connecting-IP …
_ADDED_END = (b"client-ip", b"clientip", b"connecting-ip", b"real-ip", b"remote-ip", b"remote-addr", b"forwarded-for")


def why_not_local(scope: Scope, origins: Origins) -> str | None:
    """None for a request of this machine, else how it shows that it is not one. `origins`: pages that may ask."""
    if not _from_here(scope):
        return "this request came from another one"
    for name, _ in scope["headers"]:
        if _is_added(name):
            return f"this request came through a proxy, which added the header {name.decode('latin-1')}"
    if scope.get("http_version") == "1.0" and b"close" in _values(scope, b"connection"):
        return "this request came through a proxy (HTTP/1.0 and Connection: close is what nginx sends)"
    if not all(map(_names_loopback, _values(scope, b"host"))):
        return "this request is for a host of another name"
    if _by_foreign_page(scope, origins):
        return "a page of another origin sent this request"
    return None


@lru_cache(256)
def _is_added(name: bytes) -> bool:
    """Whether only those add it through which a request comes."""
    return name in _ADDED or name.startswith(_ADDED_BEGIN) or name.endswith(_ADDED_END)


def _from_here(scope: Scope) -> bool:
    """Over a unix socket, where a server tells its path and no port (ASGI, `server`), or over loopback."""
    server, client = scope.get("server"), scope.get("client")
    if server and server[1] is None and str(server[0]).startswith(("/", "unix:", "@", "\0")):
        return True
    return client is not None and _is_loopback(client[0])


def _by_foreign_page(scope: Scope, origins: Origins) -> bool:
    """Browsers name a page's origin when it writes or may read the answer; else they say that it is another site's."""
    if named := [origin.decode("latin-1") for origin in _values(scope, b"origin")]:
        return not all(origins.every or origins.names(origin) or _is_ours(origin) for origin in named)
    return b"cross-site" in _values(scope, b"sec-fetch-site") and not _follows_link(scope)


def _follows_link(scope: Scope) -> bool:
    """Which is no harm, because it is seen. A frame goes somewhere as well, and nobody sees it."""
    if b"navigate" not in _values(scope, b"sec-fetch-mode"):
        return False
    return all(goal == b"document" for goal in _values(scope, b"sec-fetch-dest"))


def _is_ours(origin: str) -> bool:
    """Whether it is the origin of a page that this machine serves."""
    try:
        return _is_loopback_name(urlsplit(origin).hostname or "")
    except ValueError:
        return False


_HOST = re.compile(r"(?:\[([^]]*)\]|([^:]*))(?::\d*)?")


@lru_cache(256)
def _names_loopback(host: bytes) -> bool:
    """Whether a Host header names this machine, with any port or none."""
    found = _HOST.fullmatch(host.decode("latin-1"))
    return found is not None and _is_loopback_name(found[1] or found[2] or "")


def _is_loopback_name(name: str) -> bool:
    """A loopback address, or a name that means one everywhere; browsers see to the latter."""
    name = name.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)


@lru_cache(256)
def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
        mapped = getattr(parsed, "ipv4_mapped", None)  # older Pythons take ::ffff:127.0.0.1 for no loopback
        return bool((mapped or parsed).is_loopback)
    except ValueError:
        return False


def _values(scope: Scope, header: bytes) -> Iterator[bytes]:
    return (value for name, value in scope["headers"] if name == header)
