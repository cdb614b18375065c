"""The service in ways that no setting asks for: with its clock moved, or where bodies are handed over whole.

As a process: `python -m tests.testkit.variant --port 8000 --ahead 60 --buffered`.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from tests.testkit.forked import AVAILABLE
from tests.testkit.service import Service

if TYPE_CHECKING:
    from collections.abc import Mapping


class Variant(Service):
    """A Service whose clock is `ahead` by so many seconds, and which, if `buffered`, answers as Lambda does."""

    def __init__(self, env: Mapping[str, str], *, ahead: float = 0.0, buffered: bool = False) -> None:
        super().__init__(env)
        self._ahead, self._buffered = ahead, buffered

    def _argv(self, port: int) -> list[str]:
        where = ["--port", str(port), "--ahead", str(self._ahead)]
        return [sys.executable, "-m", "tests.testkit.variant", *where, *(["--buffered"] if self._buffered else [])]

    def _function(self) -> str | None:
        return "tests.testkit.variant:main" if AVAILABLE else None


def main() -> None:
    """Serve until told to stop."""
    import uvicorn  # noqa: PLC0415 - only in the process itself, like the product

    from gapless.api.factory import create_app  # noqa: PLC0415
    from gapless.config.startup import configure_logging, read_settings  # noqa: PLC0415
    from gapless.platforms.policy import LAMBDA, SERVER  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="python -m tests.testkit.variant")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ahead", type=float, default=0.0)
    parser.add_argument("--buffered", action="store_true")
    options = parser.parse_args()
    configure_logging()
    policy = LAMBDA if options.buffered else SERVER
    app = create_app(read_settings(), policy, clock=lambda: time.time() + options.ahead)
    uvicorn.run(app, host="127.0.0.1", port=options.port, ws="none", access_log=False, timeout_graceful_shutdown=10)


if __name__ == "__main__":
    main()
