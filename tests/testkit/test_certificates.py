"""A client of a test's own process trusts nobody outside, and so is made at once."""

from __future__ import annotations

import ssl

import certifi
from httpx._transports import default

from tests.testkit.certificates import NOBODY


def test_each_client_reads_one_certificate() -> None:
    """Also where the machine's environment names a file of many: this one's does, or does not."""
    assert certifi.where() == str(NOBODY)
    context = default.create_ssl_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    [authority] = context.get_ca_certs()
    assert ((("organizationName", "nobody"),)) in authority["subject"]
