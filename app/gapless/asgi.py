"""`app.main:app`, for uvicorn and Vercel. Reads the environment; opens nothing before the server starts it."""

from __future__ import annotations

import os

from app.factory import serve_or_explain
from app.policy import choose
from app.startup import configure_logging

configure_logging()
app = serve_or_explain(choose(os.environ))
