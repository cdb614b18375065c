"""What the environment says, or which variable to put right. Never shows what may be a secret."""

from __future__ import annotations

import os
from urllib.parse import SplitResult, urlsplit

from pydantic import AliasChoices, ValidationError
from pydantic_settings import SettingsError

from app.errors import StartupRefused
from app.settings import Settings


class BadSetting(StartupRefused):
    """A variable or argument has a value that can't be used."""

    exit_code = 2


def read_settings() -> Settings:
    """The settings; BadSetting with a line for each variable that is wrong."""
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False)
        raise BadSetting("\n".join(_line(entry["loc"], entry["msg"], entry["input"]) for entry in wrong)) from None
    except SettingsError as error:
        raise BadSetting(str(error)) from None
    if (settings.upstash_url is None) != (settings.upstash_token is None):
        given, missing = "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"
        if settings.upstash_url is None:
            given, missing = missing, given
        raise BadSetting(f"{given} is set, but {missing} is not. Upstash needs both.")
    return settings


def where_to_listen(host: str | None, port: int | None) -> tuple[str, int]:
    """Arguments first, then HOST and PORT, then 127.0.0.1 and 8000."""
    host = host or os.environ.get("HOST") or "127.0.0.1"
    if port is None:
        text = os.environ.get("PORT") or "8000"
        if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
            raise BadSetting(f"PORT is {text!r}, which is not a number from 0 to 65535.")
        port = int(text)
    return host, port


_SCHEMES = {"REDIS_URL": ("redis", "rediss", "unix"), "UPSTASH_REDIS_REST_URL": ("https", "http")}
_EXAMPLES = {
    "REDIS_URL": "redis://user:password@host:6379/0, rediss://… for TLS, or unix:///path/of/the/socket",
    "UPSTASH_REDIS_REST_URL": "https://name-12345.upstash.io",
}


def place_of(url: str, variable: str) -> str:
    """Scheme, host, port and database or path of `url`, and nothing that can hold a user or password.

    BadSetting, without quoting it, where the URL can't be told apart into those.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        unclear = "@" in parts.path + parts.query + parts.fragment
    except ValueError:
        unclear = True
    if unclear or parts.scheme not in _SCHEMES[variable]:
        raise BadSetting(
            f"{variable} can't be read. It looks like {_EXAMPLES[variable]}; in a password, characters such as / ? # @ "
            "are written %2F %3F %23 %40."
        )
    return _shown(parts, port)


def _shown(parts: SplitResult, port: int | None) -> str:
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    host = parts.hostname or "localhost"
    host = f"[{host}]" if ":" in host else host
    number = f":{port}" if port else ""
    database = parts.path if parts.path.strip("/").isdigit() else ""
    return f"{parts.scheme}://{host}{number}{database}"


def _line(where: tuple[int | str, ...], message: str, value: object) -> str:
    if not where:
        return f"{message}."
    variable = _variable(str(where[0]))
    # The store's URLs and tokens hold passwords; our own plain settings do not.
    shown = variable.startswith("GAPLESS_") and not any(part in variable for part in ("SECRET", "TOKEN", "URL"))
    return f"{variable}: {message}{f' (it is {value!r})' if shown else ''}."


def _variable(name: str) -> str:
    """The variable from which a field is read. Errors name either the field or the variable."""
    field = Settings.model_fields.get(name)
    if field is None:
        return name
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        alias = alias.choices[0]
    return alias if isinstance(alias, str) else f"GAPLESS_{name.upper()}"
