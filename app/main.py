"""`app.main:app`, for uvicorn and Vercel. Reads the environment; opens nothing before the server starts it."""

from __future__ import annotations

import logging

from app.factory import create_app
from app.settings import Settings

_log = logging.getLogger("gapless")
if not _log.handlers and not logging.getLogger().handlers:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)

app = create_app(Settings())
