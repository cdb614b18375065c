"""The processes of a soak, and their settings."""

from __future__ import annotations

import json

from tests.soak.party import NAMESPACES
from tests.testkit.service import Service
from tests.testkit.variant import Variant

CAP = 400
AHEAD = 60.0
_EVERY = {"signals": True, "receipts": True, "presence": True}
SETTINGS = {
    "GAPLESS_CAP": str(CAP),
    "GAPLESS_RECHECK": "3",
    "GAPLESS_RETRY_MS": "300",
    "GAPLESS_LIFETIME": "20",
    "GAPLESS_LINGER": "2",
    "GAPLESS_NAMESPACES": json.dumps({"": _EVERY} | NAMESPACES),
    "GAPLESS_PRESENCE": "20",
    "GAPLESS_ORIGINS": "*",
    "GAPLESS_METRICS": "true",
}


def services(env: dict[str, str]) -> list[Service]:
    """Three that stream, one of which has a clock that is a minute ahead, and one that hands bodies over whole."""
    return [Service(env), Service(env), Variant(env, ahead=AHEAD), Variant(env, buffered=True)]
