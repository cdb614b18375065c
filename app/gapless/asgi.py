"""`gapless.asgi:app`, for any ASGI server. Reads the environment; opens nothing before the server starts it."""

from __future__ import annotations

import os

from gapless.api.factory import serve_or_explain
from gapless.config.startup import configure_logging
from gapless.platforms.policy import choose

configure_logging()
app = serve_or_explain(choose(os.environ))
