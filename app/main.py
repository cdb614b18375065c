"""`app.main:app`, for Vercel, and for uvicorn at the top of this tree. An installed gapless has `gapless.asgi:app`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # Vercel loads this file alone, and installs no gapless

from gapless.asgi import app

__all__ = ["app"]
