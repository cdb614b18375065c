"""The doctor finds nothing wrong with the built function."""

from __future__ import annotations

import pytest

from tests.testkit.doctor import ORIGIN, examine, failing, token
from tests.testkit.forge import SECRET
from tests.testkit.vercel import Bundle, VercelFunction

pytestmark = pytest.mark.real(seconds=15)


async def test_all_is_good(bundle: Bundle, env: dict[str, str]) -> None:
    keys = {"GAPLESS_JWT_SECRET": SECRET, "GAPLESS_ORIGINS": ORIGIN, "GAPLESS_HEARTBEAT": "0.5"}
    async with VercelFunction(bundle, env=env | keys, instances=1, max_duration=300) as fn:
        findings = await examine(fn.url, token=token(), origin=ORIGIN, watch=5)
    assert failing(findings) == {}
    assert "it streams" in findings["stream"].said
    assert "0.25 commands a minute" in findings["idle cost"].said
