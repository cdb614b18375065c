"""Whom tests trust: nobody outside, for they reach nobody outside."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
from httpx import create_ssl_context
from httpx._transports import default

if TYPE_CHECKING:
    import ssl

NOBODY = Path(__file__).with_name("nobody.pem")
"""The certificate of an authority whose key is gone."""


def trust_nobody() -> None:
    """From now on, each new httpx client reads that one instead of some hundred and forty, which takes 30 ms.

    Also where this machine's environment names others, which child processes may need. What a test names is trusted.
    """
    named = os.environ.get("SSL_CERT_FILE")

    def context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        return create_ssl_context(verify, cert, trust_env and os.environ.get("SSL_CERT_FILE") != named)

    certifi.where = lambda: str(NOBODY)
    default.create_ssl_context = context
