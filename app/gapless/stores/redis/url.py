"""Reads REDIS_URL in all forms that are in use. A cold start runs this, so it imports no client."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from gapless.log.errors import StartupRefused

LOOKS = "It looks like redis://user:password@host:6379/0."
SCHEMES = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}
"""Each with whether it means TLS."""
UNIX = ("unix", "redis+socket", "redis+unix")
IGNORED = re.compile(
    "decode_responses|encoding|encoding_errors|protocol|legacy_responses|family|virtual_host|retry_on_timeout"
    "|timeout|socket_timeout|socket_connect_timeout|socket_keepalive|socket_read_size|health_check_interval"
)
"""Options that say how another client shall work, which this service decides for itself."""
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
KNOWN = ("db", "username", "password", "max_connections", "client_name", "ssl", "ssl_cert_reqs", "ssl_check_hostname")
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")
_PLACE = re.compile(
    r"(?:(?P<user>[^:]*?)(?::(?P<password>.*))?@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]*)(?::(?P<port>\d{0,9}))?"
    r"(?:/(?P<db>\d{0,5}))?(?:\?(?P<query>[^#]*))?",
    re.DOTALL | re.ASCII,
)
_PLAIN = re.compile(_PLACE.pattern.replace("[^:]*?", "[^:/?#]*").replace(".*)", "[^/?#]*)"), re.ASCII)
_SOCKET = re.compile(r"(?:(?P<user>[^:/]*)(?::(?P<password>.*))?@)?(?P<path>/[^?#]+)(?:\?(?P<query>[^#]*))?", re.DOTALL)


class Place(NamedTuple):
    """Where a server is and how it is entered. `path`: of a unix socket, instead of host and port."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    tls: bool = False
    database: int = 0
    username: str | None = None
    password: str | None = None
    most: int | None = None
    options: tuple[tuple[str, Any], ...] = ()
    """Of redis-py's connections."""

    @property
    def name(self) -> str:
        """For people: without user, password and options."""
        if self.path is not None:
            return f"Redis at {self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        database = f"/{self.database}" if self.database else ""
        return f"Redis at {'rediss' if self.tls else 'redis'}://{host}:{self.port}{database}"


def read_url(url: str) -> Place:
    """The place; raises StartupRefused with a sentence that never shows what may be a password."""
    url = url.strip()
    scheme, found, rest = url.partition("://")
    scheme, rest = (scheme.lower(), rest) if found else ("redis", url)
    if url[:1] in ("'", '"'):
        raise _refused("has quotes around it; take them off")
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise _refused(f"is no URL. {LOOKS[:-1]}")
    if scheme in ("http", "https"):
        raise _refused("is a REST URL; Upstash's go into UPSTASH_REDIS_REST_URL")
    if "sentinel" in scheme:
        raise _refused("names a Sentinel; give the address of the primary itself, or one that follows it")
    if scheme in UNIX:
        return _socket(rest)
    if scheme not in SCHEMES:
        raise _refused(f"begins with '{scheme}://'; known are {', '.join(SCHEMES)} and unix")
    match = _match(rest)
    if match is None:
        raise _refused(f"can't be read. {LOOKS} The database is a number")
    port = int(match["port"] or 6379)
    if not 0 < port < 65536:
        raise _refused("has a port that is none")
    place = Place(match["host"].strip("[]") or "localhost", port, tls=SCHEMES[scheme])
    place = place._replace(database=int(match["db"] or 0))
    return _with_options(_with_user(place, match), match["query"] or "")


def _match(rest: str) -> re.Match[str] | None:
    """As it is written, or else as one whose password nobody has encoded: then what follows the last @ is the host."""
    plain = _PLAIN.fullmatch(rest)
    query = plain["query"] or "" if plain else ""
    if plain and ("@" not in query or all(_is_known(name) for name, _ in parse_qsl(query, keep_blank_values=True))):
        return plain
    return _PLACE.fullmatch(rest)


def _is_known(name: str) -> bool:
    return name in (*KNOWN, *FILES) or IGNORED.fullmatch(name) is not None


def _socket(rest: str) -> Place:
    match = _SOCKET.fullmatch(rest)
    if match is None:
        raise _refused("names no socket. It looks like unix:///run/valkey.sock?db=0")
    return _with_options(_with_user(Place(path=unquote(match["path"])), match), match["query"] or "")


def _with_user(place: Place, match: re.Match[str]) -> Place:
    user, password = (unquote(match[name]) if match[name] else None for name in ("user", "password"))
    return place._replace(username=user, password=password)


def _with_options(place: Place, query: str) -> Place:
    options: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if IGNORED.fullmatch(name):
            continue
        if not _is_known(name):
            known = ", ".join((*KNOWN, *FILES))
            raise _refused(f"has the option '{_shown(name)}', which is not known; take it off. Known are {known}")
        if name == "ssl":
            place = place._replace(tls=_flag(name, value) or place.tls)
        elif name == "db":
            place = place._replace(database=_number(name, value, 0))
        elif name == "max_connections":
            place = place._replace(most=_number(name, value, 1))
        elif name == "username":
            place = place._replace(username=value)
        elif name == "password":
            place = place._replace(password=value)
        else:
            options[name] = _option(name, value)
    if not place.tls and (needless := [name for name in options if name.startswith("ssl_")]):
        raise _refused(f"has the option '{needless[0]}', which needs rediss://")
    if options.get("ssl_cert_reqs") == "none":
        options["ssl_check_hostname"] = False
    return place._replace(options=tuple(options.items()))


def _option(name: str, value: str) -> Any:
    if name == "ssl_cert_reqs":
        wanted = value.lower().removeprefix("cert_")
        if wanted not in ("none", "optional", "required"):
            raise _refused("has the option 'ssl_cert_reqs', which may be none, optional or required")
        return wanted
    if name == "ssl_check_hostname":
        return _flag(name, value)
    if name in FILES and not Path(value).is_file():
        raise _refused(f"has the option '{name}', but there is no such file")
    return value


def _flag(name: str, value: str) -> bool:
    if value.lower() not in (*_YES, *_NO):
        raise _refused(f"has the option '{name}', which may be true or false")
    return value.lower() in _YES


def _number(name: str, value: str, least: int) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", value) or int(value) < least:
        raise _refused(f"has the option '{name}', which must be a number of at least {least}")
    return int(value)


def _shown(name: str) -> str:
    """An option's name; what is no word might be a piece of a password."""
    return name if re.fullmatch(r"[A-Za-z_-]{1,40}", name) else "…"


def _refused(what: str) -> StartupRefused:
    return StartupRefused(f"REDIS_URL {what}.")
