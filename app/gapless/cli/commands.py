"""What can be typed: the commands, their arguments, and their help. What a command does is imported when it runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from gapless.cli.failure import PipeClosed
from gapless.runtime.version import __version__


class _Commands(click.Group):
    def invoke(self, context: click.Context) -> Any:
        """Run one. A pipe that nobody reads any more is no fault."""
        try:
            return super().invoke(context)
        except BrokenPipeError:
            raise PipeClosed from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="gapless %(version)s")
@click.pass_context
def gapless(context: click.Context) -> None:
    """Messages by POST, read with EventSource."""
    if os.environ.get("NO_COLOR"):
        context.color = False


def _env_file(command: Callable[..., Any]) -> Callable[..., Any]:
    told = "File of settings (default .env, where there is one); the environment wins."
    return click.option("--env-file", metavar="FILE", help=told)(command)


def _remote(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that talks to a service."""
    command = click.option("--token", envvar="GAPLESS_TOKEN", show_envvar=True, help="A token for it.")(command)
    default: dict[str, Any] = {"default": "http://127.0.0.1:8000", "show_default": True}
    return click.option("--url", envvar="GAPLESS_URL", show_envvar=True, help="The service.", **default)(command)


def _user(context: click.Context, parameter: click.Parameter, user: str | None) -> str | None:
    if user is not None and not (user.isprintable() and 1 <= len(user) <= 128):
        raise click.BadParameter("it has 1 to 128 characters")
    return user


@gapless.command()
@click.option("--host", help="Address to listen on (HOST; default 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen on, 0 for any free one (PORT; 8000).")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that serve.")
@_env_file
def serve(host: str | None, port: int | None, workers: int, env_file: str | None) -> int:
    """Run the service."""
    from gapless.cli.dotenv import load  # noqa: PLC0415  # they import the settings, and `--version` is to be quick
    from gapless.cli.serve import serve as run  # noqa: PLC0415

    return run(host, port, workers, load(env_file, os.environ))


@gapless.command()
@click.option("--user", required=True, callback=_user, help="Whom it is for: its claim sub.")
@click.option("--publish", multiple=True, metavar="PATTERNS", help="Channels it may publish to: 'a,chat.*', '*'.")
@click.option("--subscribe", multiple=True, metavar="PATTERNS", help="Channels it may read.")
@click.option("--minutes", type=click.IntRange(1, 60 * 24 * 366), default=60, show_default=True, help="For how long.")
@click.option("--admin", is_flag=True, help="May list and delete channels.")
@_env_file
def token(
    user: str, publish: tuple[str, ...], subscribe: tuple[str, ...], minutes: int, admin: bool, env_file: str | None
) -> int:
    """Make a token with GAPLESS_JWT_SECRET."""
    from gapless.cli.dotenv import load  # noqa: PLC0415
    from gapless.cli.token import Wanted  # noqa: PLC0415
    from gapless.cli.token import token as run  # noqa: PLC0415

    load(env_file, os.environ)
    return run(Wanted(user, publish, subscribe, minutes, admin))


@gapless.command()
@click.argument("channel")
@click.argument("text", default="-", metavar="[TEXT|-]")
@click.option("--json", "as_json", is_flag=True, help="The text, or each line, is the data as JSON.")
@click.option("--event", help="The event name (default message).")
@click.option("--user", callback=_user, help="Who sends; a token's own user wins.")
@click.option("--key", metavar="KEY", help="Opens each localId: the same command again publishes nothing twice.")
@click.option(
    "--patience",
    type=click.IntRange(0, 540),
    default=300,
    show_default=True,
    help="Seconds for which an outage is waited out.",
)
@_remote
def publish(
    channel: str,
    text: str,
    as_json: bool,
    event: str | None,
    user: str | None,
    key: str | None,
    patience: int,
    url: str,
    token: str | None,
) -> int:
    """Publish TEXT, or with - each line of standard input, in order and exactly once.

    What is not answered is sent again under the same localId. Prints the id of a text.
    """
    from gapless.cli.lines import Form  # noqa: PLC0415
    from gapless.cli.publish import new_key  # noqa: PLC0415
    from gapless.cli.publish import publish as run  # noqa: PLC0415
    from gapless.cli.remote import Remote  # noqa: PLC0415

    return run(Remote(url, token), channel, text, Form(key or new_key(), as_json, event, user), patience)


@gapless.command()
@click.argument("channels", nargs=-1, required=True, metavar="CHANNEL...")
@click.option("--history", type=click.IntRange(0, 200), help="Begin with the last so many messages of each channel.")
@click.option(
    "--from", "start", metavar="start|CURSOR", help="Begin with the oldest message, or after an id or cursor."
)
@click.option("--count", type=click.IntRange(0), help="End after so many messages.")
@click.option("--buffered", is_flag=True, help="Ask for whole replies: behind a proxy that holds streams back.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each message, gap and end.")
@_remote
def tail(
    channels: tuple[str, ...],
    history: int | None,
    start: str | None,
    count: int | None,
    buffered: bool,
    as_json: bool,
    url: str,
    token: str | None,
) -> int:
    """Print the messages of channels as they come, until Ctrl-C. Reconnects, and goes on where it was."""
    from gapless.cli.remote import Remote  # noqa: PLC0415
    from gapless.cli.tail import tail as run  # noqa: PLC0415
    from gapless.cli.tail import where  # noqa: PLC0415

    if history is not None and start is not None:
        raise click.UsageError("--history and --from exclude each other.")
    return run(Remote(url, token), where(channels, history, start, buffered=buffered), json=as_json, count=count)


@gapless.command()
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each channel.")
@_remote
def channels(as_json: bool, url: str, token: str | None) -> int:
    """List the channels. Needs a token of an administrator, where the service has keys."""
    from gapless.cli.channels import channels as run  # noqa: PLC0415
    from gapless.cli.remote import Remote  # noqa: PLC0415

    return run(Remote(url, token), as_json=as_json)


@gapless.command()
@click.argument("url", envvar="GAPLESS_URL", default="http://127.0.0.1:8000", metavar="[URL]")
@click.option("--origin", help="Of the web pages that use the service, such as https://app.example.com.")
@click.option(
    "--seconds", type=click.FloatRange(1, 45), default=40, show_default=True, help="For how long a stream is watched."
)
@click.option("--token", envvar="GAPLESS_TOKEN", show_envvar=True, help="A token for it, best an administrator's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def doctor(url: str, origin: str | None, seconds: float, token: str | None, as_json: bool) -> int:
    """Say whether the deployment at URL works, streams and resumes, and what to change where it does not.

    It publishes some 50 messages on a channel of its own, and deletes it where the token may. It takes up to a minute.
    """
    from gapless.cli.doctor.report import doctor as run  # noqa: PLC0415
    from gapless.cli.remote import Remote  # noqa: PLC0415

    return run(Remote(url, token), origin, seconds, as_json=as_json)


@gapless.command()
@click.option("--users", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="Who read.")
@click.option("--hours", type=click.FloatRange(0.1, 24), default=8, show_default=True, help="Each is online a day.")
@click.option(
    "--messages", type=click.IntRange(0, 1_000_000_000), default=10_000, show_default=True, help="A day, in all."
)
@click.option(
    "--channels",
    type=click.IntRange(1, 1_000_000),
    default=1,
    show_default=True,
    help="Each user reads one of them.",
)
@click.option(
    "--platform",
    type=click.Choice(["server", "vercel", "lambda", "lambda-stream"]),
    default="server",
    show_default=True,
    help="lambda answers in turns; lambda-stream has the Web Adapter.",
)
@click.option("--store", type=click.Choice(["redis", "upstash"]), default="redis", show_default=True)
@click.option("--lifetime", type=click.FloatRange(1, 86_400), default=240, show_default=True, help="GAPLESS_LIFETIME.")
@click.option("--memory", type=click.FloatRange(0.125, 10), help="GB of a function (Lambda 0.5, Vercel 2).")
@click.option("--processes", type=click.IntRange(1, 1000), default=1, show_default=True, help="Or Vercel's instances.")
@click.option("--machine", type=click.FloatRange(0), default=0, help="Dollars a month for your own server and Redis.")
@click.option("--beside", "others", is_flag=True, help="Beside Ably, Pusher, AppSync Events and @upstash/realtime.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def cost(
    platform: str, store: str, memory: float | None, machine: float, others: bool, as_json: bool, **shape: Any
) -> int:
    """Say what a deployment of this shape costs a month, by item."""
    from gapless.cli.cost.report import cost as run  # noqa: PLC0415
    from gapless.cli.cost.shape import Platform, Shape, Store  # noqa: PLC0415

    memory = memory or (2.0 if platform == "vercel" else 0.5)
    wanted = Shape(platform=Platform(platform), store=Store(store), memory=memory, **shape)
    return run(wanted, machine, others=others, as_json=as_json)
