"""Refuses settings that can never work with Upstash, without a request. A cold start runs this: no HTTP client."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from gapless.log.errors import StartupRefused

LARGEST_BODY = 2_000_000
"""Bytes of a message of which three, as base64, still fit a reply of 10 MB: one and the log's two ends."""
LOOKS = "it looks like https://name-12345.upstash.io"


def check(url: str, token: str) -> None:
    """Refuse at the start what can never work; raises StartupRefused. What passes, httpx can read."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if "[" in url or re.fullmatch("[0-9.]+", host):  # it is an address, or nothing
            ip_address(host)
    except ValueError as error:
        raise StartupRefused(f"UPSTASH_REDIS_REST_URL can't be read: {error}; {LOOKS}.") from None
    named = re.fullmatch(r"(?!xn--)[a-z0-9._:-]+", host) and url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("https", "http") or not named or port == 0:
        raise StartupRefused(f"UPSTASH_REDIS_REST_URL is no REST URL: {LOOKS} (not redis://).")
    if not token:
        raise StartupRefused("UPSTASH_REDIS_REST_TOKEN is missing: copy it from the database's page, beside the URL.")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise StartupRefused("UPSTASH_REDIS_REST_TOKEN holds what no token does: copy it again, without quotes.")
