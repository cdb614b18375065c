"""The command `gapless`: arguments in, exit code out. A command's modules are imported when it runs.

Exit codes: 0 ended as asked · 1 can't start, and says why · 2 wrong arguments or settings · 3 the app failed while it
started · 130, 143 stopped by Ctrl-C or SIGTERM before it was ready.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from gapless.log.errors import StartupRefused
from gapless.runtime.version import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` without the program's name, `sys.argv`'s where it is None."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except StartupRefused as refusal:
        sys.stderr.write(f"gapless: {refusal}\n")
        return getattr(refusal, "exit_code", 1)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gapless", description="Messages by POST, read with EventSource.")
    parser.add_argument("--version", action="version", version=f"gapless {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    _describe_serve(commands.add_parser("serve", help="run the service", description="Run the service."))
    described = "Make a token with GAPLESS_JWT_SECRET."
    _describe_token(commands.add_parser("token", help="make a token", description=described))
    return parser


def _describe_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--host", help="address to listen on (HOST; default 127.0.0.1)")
    serve.add_argument("--port", type=_port, help="port to listen on, 0 for any free one (PORT; default 8000)")
    serve.add_argument("--workers", type=_workers, default=1, help="processes that serve (default 1)")
    _describe_env_file(serve)
    serve.set_defaults(run=_serve)


def _describe_token(token: argparse.ArgumentParser) -> None:
    token.add_argument("--user", required=True, type=_user, help="whom it is for: its claim sub")
    for right, what in (("publish", "publish to"), ("subscribe", "read")):
        channels = f"channels it may {what}: 'a,chat.*', '*'"
        token.add_argument(f"--{right}", action="append", default=[], metavar="PATTERNS", help=channels)
    token.add_argument("--minutes", type=_minutes, default=60, help="for how long (default 60)")
    token.add_argument("--admin", action="store_true", help="may list and delete channels")
    _describe_env_file(token)
    token.set_defaults(run=_token)


def _describe_env_file(command: argparse.ArgumentParser) -> None:
    told = "file of settings (default .env, where there is one); the environment wins"
    command.add_argument("--env-file", metavar="FILE", help=told)


def _port(text: str) -> int:
    return _number(text, 0, 65_535)


def _workers(text: str) -> int:
    return _number(text, 1, 64)


def _minutes(text: str) -> int:
    return _number(text, 1, 60 * 24 * 366)


def _user(text: str) -> str:
    if not (text.isprintable() and 1 <= len(text) <= 128):
        raise argparse.ArgumentTypeError("it has 1 to 128 characters")
    return text


def _number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
    return int(text)


def _serve(arguments: argparse.Namespace) -> int:
    from gapless.cli.dotenv import load  # noqa: PLC0415  # they import the settings, and `--version` is to be quick
    from gapless.cli.serve import serve  # noqa: PLC0415

    return serve(arguments.host, arguments.port, arguments.workers, load(arguments.env_file, os.environ))


def _token(arguments: argparse.Namespace) -> int:
    from gapless.cli.dotenv import load  # noqa: PLC0415
    from gapless.cli.token import Wanted, token  # noqa: PLC0415

    load(arguments.env_file, os.environ)
    rights = arguments.publish, arguments.subscribe
    return token(Wanted(arguments.user, *rights, arguments.minutes, arguments.admin))
