"""`gapless.asgi:app`, for any ASGI server. Reads the environment; opens nothing before the server starts it."""

from __future__ import annotations

import os

from gapless.api.late_models import import_fastapi

import_fastapi()

from gapless.api.factory import serve_or_explain  # noqa: E402
from gapless.config.startup import configure_logging  # noqa: E402
from gapless.platforms.policy import choose  # noqa: E402

configure_logging()
app = serve_or_explain(choose(os.environ))
