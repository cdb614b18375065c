"""What shows that a request does not come from this machine: docs/security.md, "Who can do what"."""

from __future__ import annotations

from typing import Any

import pytest

from gapless.api.loopback import why_not_local
from gapless.config.origins import Origins

# What stands before services, and the headers that each was seen or is documented to add. `Host` may be loopback.
PROXIES = {
    "ngrok": ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"),
    "cloudflared": ("CF-Connecting-IP", "CF-Ray", "CF-Visitor", "CF-IPCountry", "CDN-Loop", "CF-Warp-Tag-ID"),
    "tailscale serve and funnel": ("X-Forwarded-For", "Tailscale-User-Login", "Tailscale-Funnel-Request"),
    "localtunnel": ("X-Forwarded-Proto", "X-Real-IP"),
    "dev tunnels, Codespaces": ("X-Forwarded-Host", "X-Original-Host", "X-Original-Proto", "X-Scheme"),
    "zrok, Expose": ("X-Proxy", "X-Exposed-By"),
    "nginx as people set it up": ("X-Real-IP", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-SSL-Client-Verify"),
    "Apache": ("X-Forwarded-Server", "Via", "Max-Forwards"),
    "HAProxy": ("X-Forwarded-For", "Forwarded", "X-Client-IP"),
    "Varnish": ("X-Varnish", "Via", "Surrogate-Capability"),
    "Envoy, Istio": ("X-Envoy-External-Address", "X-Envoy-Expected-Rq-Timeout-Ms", "X-Envoy-Attempt-Count"),
    "AWS": ("X-Amzn-Trace-Id", "X-Amzn-Request-Context", "X-Amz-Cf-Id", "CloudFront-Viewer-Address"),
    "Google": ("X-Cloud-Trace-Context", "Via", "X-AppEngine-User-IP"),
    "Azure": (
        "X-Azure-ClientIP",
        "X-FD-HealthProbe",
        "X-ARR-LOG-ID",
        "Client-IP",
        "X-AppService-Proto",
        "X-Site-Deployment-Id",
    ),
    "Vercel": ("X-Vercel-Id", "X-Vercel-Forwarded-For", "X-Vercel-IP-Country"),
    "Fly": ("Fly-Client-IP", "Fly-Forwarded-Port", "Fly-Region"),
    "Netlify, Railway, Render": ("X-NF-Client-Connection-IP", "X-Railway-Edge", "Rndr-Id", "True-Client-IP"),
    "Heroku": ("X-Request-Start", "Connect-Time", "Total-Route-Time", "Via"),
    "Fastly": ("Fastly-Client-IP", "Fastly-SSL", "CDN-Loop"),
    "Akamai": ("True-Client-IP", "Akamai-Origin-Hop", "X-Akamai-Edgescape"),
    "others": ("DO-Connecting-IP", "Incap-Client-IP", "X-Sucuri-ClientIP", "X-Cluster-Client-IP", "X-Remote-Addr"),
}
CLIENTS = {
    "a browser": {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Origin": "http://localhost:8000"},
    "a page of this machine's": {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "cors",
        "Origin": "http://[::1]:3000",
    },
    "a link that was followed": {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    },
    "a link in an old browser": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    "an allowed page": {"Origin": "https://app.example.com"},
    "a traced client": {"Traceparent": "00-1-2-01", "X-Request-ID": "1", "X-B3-TraceId": "1", "Baggage": "a=1"},
    "Upstash's QStash, by hand": {"User-Agent": "curl/8", "Accept": "*/*", "Connection": "close"},
}
FOREIGN = {
    "another origin": {"Origin": "https://chat.example.com"},
    "a name that begins alike": {"Origin": "http://localhost.example.com"},
    "a name in front": {"Origin": "http://localhost:1@example.com"},
    "an origin that nobody knows": {"Origin": "null"},
    "no URL": {"Origin": "http://[::1"},
    "an image on another site's page": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "a frame in another site's page": {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "iframe",
    },
}


def scope(headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A request as uvicorn tells of it."""
    named = {"Host": "127.0.0.1:8000", **(headers or {})}
    return {
        "client": ("127.0.0.1", 4711),
        "server": ("127.0.0.1", 8000),
        "http_version": "1.1",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in named.items()],
        **more,
    }


def why(headers: dict[str, str] | None = None, **more: Any) -> str | None:
    return why_not_local(scope(headers, **more), Origins(("https://app.example.com",)))


@pytest.mark.parametrize("proxy", PROXIES)
def test_each_header_alone_tells_of_a_proxy(proxy: str) -> None:
    for header in PROXIES[proxy]:
        assert header.lower() in (why({header: ""}) or ""), header


@pytest.mark.parametrize("client", CLIENTS)
def test_clients_of_this_machine(client: str) -> None:
    assert why(CLIENTS[client]) is None


@pytest.mark.parametrize("page", FOREIGN)
def test_pages_of_other_origins(page: str) -> None:
    assert why(FOREIGN[page]) == "a page of another origin sent this request"


def test_every_page_may_ask_where_every_origin_is_allowed() -> None:
    assert why_not_local(scope(FOREIGN["another origin"]), Origins(("*",))) is None


def test_nginx_without_any_header() -> None:
    """Its default up to 1.29.6. `ab` and `curl -0` speak HTTP/1.0 too, and do not say close."""
    assert "nginx" in (why({"Connection": "close"}, http_version="1.0") or "")
    assert why({}, http_version="1.0") is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "[::1]:8000", "[::1]", "A.localhost.:1", "127.0.0.1:"])
def test_hosts_of_this_machine(host: str) -> None:
    assert why({"Host": host}) is None


@pytest.mark.parametrize("host", ["", "localhost:80@evil.example", "localhost:a", "[::1]evil.example", "::1", "[::1"])
def test_hosts_that_only_look_like_it(host: str) -> None:
    assert why({"Host": host}) == "this request is for a host of another name"


@pytest.mark.parametrize("path", ["/run/gapless.sock", "unix:/run/gapless.sock", "@gapless", "\0gapless"])
def test_a_unix_socket_is_this_machine(path: str) -> None:
    for client in (None, ("", 0)):
        assert why(client=client, server=(path, None)) is None
    assert why({"X-Forwarded-For": "203.0.113.7"}, client=None, server=(path, None))
    assert why({"Host": "chat.example.com"}, client=None, server=(path, None))


@pytest.mark.parametrize("server", [None, ("127.0.0.1", 8000), ("127.0.0.1", None), ("", None)])
def test_who_has_no_address_is_not_here(server: Any) -> None:
    assert why(client=None, server=server)
