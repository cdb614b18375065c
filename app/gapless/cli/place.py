"""Where to listen, and where the store is, from the environment. Never shows what may be a secret."""

from __future__ import annotations

import os
from urllib.parse import SplitResult, urlsplit

from gapless.config.startup import BadSetting

_EXAMPLE = "https://name-12345.upstash.io"


def where_to_listen(host: str | None, port: int | None) -> tuple[str, int]:
    """Arguments first, then HOST and PORT, then 127.0.0.1 and 8000."""
    host = host or os.environ.get("HOST") or "127.0.0.1"
    if port is None:
        text = os.environ.get("PORT") or "8000"
        if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
            raise BadSetting(f"PORT is {text!r}, which is not a number from 0 to 65535.")
        port = int(text)
    return host, port


def place_of(url: str) -> str:
    """Scheme, host and port of UPSTASH_REDIS_REST_URL, and nothing that can hold a user or password.

    BadSetting, without quoting it, where the URL can't be told apart into those.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        unclear = "@" in parts.path + parts.query + parts.fragment
    except ValueError:
        unclear = True
    if unclear or parts.scheme not in ("https", "http"):
        raise BadSetting(f"UPSTASH_REDIS_REST_URL can't be read. It looks like {_EXAMPLE}.")
    return _shown(parts, port)


def _shown(parts: SplitResult, port: int | None) -> str:
    host = parts.hostname or "localhost"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}"
