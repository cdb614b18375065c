"""A client of a test's own process trusts nobody outside, and so is made at once."""

from __future__ import annotations

import ssl

import certifi
import httpx

from tests.testkit.certificates import NOBODY


def test_each_client_reads_one_certificate() -> None:
    assert certifi.where() == str(NOBODY)
    context = httpx.create_ssl_context(trust_env=False)
    assert context.verify_mode == ssl.CERT_REQUIRED
    [authority] = context.get_ca_certs()
    assert ((("organizationName", "nobody"),)) in authority["subject"]
