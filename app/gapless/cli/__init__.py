"""The command `gapless`: arguments in, exit code out.

Exit codes: 0 ended as asked · 1 can't, and says why · 2 wrong arguments or settings · 3 the app failed while it
started · 130, 143 stopped by Ctrl-C or SIGTERM · 141 nobody reads what it prints.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from gapless.cli.failure import Failed, PipeClosed
from gapless.log.errors import StartupRefused

STOPPED = 130
_PACKAGES = ("click", "httpx_sse")
"""Those of the extra `cli`, which no function needs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` without the program's name, `sys.argv`'s where it is None."""
    try:
        return _run(argv)
    except ModuleNotFoundError as missing:
        if missing.name not in _PACKAGES:
            raise
        return _fail(f"this needs the package {missing.name}: pip install 'gapless[cli]'.", 1)
    except (StartupRefused, Failed) as refusal:
        if isinstance(refusal, PipeClosed):
            _write_to_nobody()
            return refusal.exit_code
        return _fail(str(refusal), getattr(refusal, "exit_code", 1))


def _run(argv: Sequence[str] | None) -> int:
    import click  # noqa: PLC0415  # workers of `serve` import this module, and need no commands

    from gapless.cli.commands import gapless  # noqa: PLC0415

    try:
        code = gapless.main(None if argv is None else list(argv), prog_name="gapless", standalone_mode=False)
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except click.Abort:
        return STOPPED
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"gapless: {message}\n")
    return code


def _write_to_nobody() -> None:
    """Python flushes standard output at its end, and would complain once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
