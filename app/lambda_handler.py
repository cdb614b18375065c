"""`app.lambda_handler.handler`, for AWS Lambda. An installed gapless has `gapless.aws.handler`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the zip holds this folder, and installs no gapless

from gapless.aws import app, handler

__all__ = ["app", "handler"]
