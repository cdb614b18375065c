"""Whom tests trust: nobody outside, for they reach nobody outside."""

from __future__ import annotations

import os
from functools import cache
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
    """From now on, each new httpx client trusts that one instead of some hundred and forty, which takes 30 ms to read.

    Also where this machine's environment names others, which child processes may need. What a test names is trusted.
    All that name nothing share what was read: to read even one takes longer than all else that makes a client.
    """
    named = os.environ.get("SSL_CERT_FILE")
    shared = cache(create_ssl_context)

    def context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        if trust_env and os.environ.get("SSL_CERT_FILE") != named:
            return create_ssl_context(verify, cert, trust_env)
        make = shared if isinstance(verify, bool) and cert is None else create_ssl_context
        return make(verify, cert, False)

    certifi.where = lambda: str(NOBODY)
    default.create_ssl_context = context
