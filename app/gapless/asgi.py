"""`gapless.asgi:app`, for any ASGI server. Reads the environment; opens nothing before the server starts it."""

from __future__ import annotations

import gc
import os

# As in `aws.py`: a cold start on Vercel is shorter by as much.
collects = gc.isenabled()
gc.disable()

from gapless.api.late_models import import_fastapi  # noqa: E402

import_fastapi()

from gapless.api.factory import serve_or_explain  # noqa: E402
from gapless.config.startup import configure_logging  # noqa: E402
from gapless.platforms.policy import choose  # noqa: E402

configure_logging()
app = serve_or_explain(choose(os.environ))
gc.freeze()
if collects:
    gc.enable()
