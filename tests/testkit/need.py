"""What a test cannot run without: a skip on a laptop, a failure in CI."""

from __future__ import annotations

import os


def need(condition: object, reason: str) -> None:
    """Go on if `condition` is true; else skip with `reason`, or fail with it where `CI=true`."""
    __tracebackhide__ = True
    if condition:
        return
    import pytest  # noqa: PLC0415 - an emulator in a process of its own does without it

    if os.environ.get("CI") == "true":
        pytest.fail(f"needed in CI: {reason}", pytrace=False)
    pytest.skip(reason)
