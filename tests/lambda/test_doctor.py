"""The doctor finds nothing wrong with the service as a function that answers in turns."""

from __future__ import annotations

import pytest

from gapless.cli.doctor.finding import State
from tests.testkit.doctor import ORIGIN, examine, failing, token
from tests.testkit.forge import SECRET
from tests.testkit.lambda_runtime import Front, LambdaFront

from .serving import HANDLER, OPEN, TREE

pytestmark = pytest.mark.real(seconds=15)


async def test_all_is_good(tcp: dict[str, str]) -> None:
    """The function's time limit makes a turn wait for some seconds only."""
    env = OPEN | tcp | {"GAPLESS_JWT_SECRET": SECRET, "GAPLESS_PUBLIC": "", "GAPLESS_ORIGINS": ORIGIN}
    async with LambdaFront(HANDLER, Front.HTTP_API_V2, cwd=TREE, env=env, timeout=8, late=20) as front:
        findings = await examine(front.url, token=token(), origin=ORIGIN, watch=60)
    assert failing(findings) == {}
    assert {one.state for one in findings.values()} == {State.OK}
    assert "in turns" in findings["stream"].said and "ended as it should" in findings["lifetime"].said
