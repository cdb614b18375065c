"""Whose pages may use the service: the origins of GAPLESS_ORIGINS, as browsers write them. Pure. (docs/security.md)

A browser writes each origin in one way only: the scheme, the host in small letters, no default port, and no path. A
setting that is written in another way would never match, and nothing would say why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv6Address
from urllib.parse import SplitResult, urlsplit

EVERY = "*"
"""Stands for all origins, without cookies."""

_PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_HOST = re.compile(rf"(\*\.)?{_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True)
class Origins:
    """A set of origins. `listed`: as `parse` returns them."""

    listed: tuple[str, ...] = ()

    @property
    def every(self) -> bool:
        """Whether a page of any origin may read. With a cookie only those write that are listed beside the star."""
        return EVERY in self.listed

    @cached_property
    def pattern(self) -> str:
        """A regular expression: it matches the whole of each listed origin, and nothing where there are none."""
        return "|".join(_pattern(origin) for origin in self.listed if origin != EVERY) or "(?!)"

    def names(self, origin: str) -> bool:
        """Whether this value of the header `Origin` is listed; the star lists nobody."""
        return re.fullmatch(self.pattern, origin) is not None

    def admits(self, origin: str, host: str | None) -> bool:
        """Whether a page of this origin may read: one that is listed, or the service's own, which is at `host`."""
        return self.every or is_own(origin, host) or self.names(origin)


def is_own(origin: str, host: str | None) -> bool:
    """Whether `origin` is that of the service itself. `host`: the request's header Host.

    Some proxies write a port there that browsers leave out.
    """
    name = (host or "").lower().removesuffix(":443").removesuffix(":80")
    return name != "" and origin in (f"https://{name}", f"http://{name}")


def parse(text: str) -> tuple[str, ...]:
    """The origins of a comma list, each as browsers write it; ValueError with a sentence for what can never match."""
    parts = (part.strip() for part in _unquoted(text).split(","))
    return tuple(dict.fromkeys(normalised(_unquoted(part)) for part in parts if part))


def normalised(text: str) -> str:
    """One origin as browsers write it, or `*`; ValueError with a sentence for what can never match."""
    if text == EVERY:
        return text
    if re.search(r"\s", text):
        raise ValueError(f"{text!r} holds a space; commas divide origins")
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(f"{text!r} can't be read; {_LOOKS}") from None
    if not _SCHEME.fullmatch(scheme) or not parts.netloc:
        raise ValueError(f"{text!r} has no scheme; {_LOOKS}")
    if _more(parts, text):
        raise ValueError(f"{text!r} says more than an origin, which ends after the host or its port; {_LOOKS}")
    if port == 0 or parts.netloc.endswith(":") or not _good(host):
        raise ValueError(f"{text!r} has no host as browsers write it; {_hint(host)}{_LOOKS}")
    shown = f"[{IPv6Address(host)}]" if ":" in host else host
    return f"{scheme}://{shown}" if port in (None, _PORTS.get(scheme)) else f"{scheme}://{shown}:{port}"


_LOOKS = "an origin looks like https://app.example.com, https://*.example.com or http://localhost:3000"


def _more(parts: SplitResult, text: str) -> bool:
    return parts.path not in ("", "/") or any(sign in text for sign in "?#@")


def _good(host: str) -> bool:
    """Whether browsers can send it: ASCII, an address or a name, of which the first label may be a star."""
    if ":" in host:
        try:
            return "%" not in host and bool(IPv6Address(host))
        except ValueError:
            return False
    if not _HOST.fullmatch(host) or len(host) > 253:
        return False
    return not host.startswith("*.") or "." in host[2:] or host == "*.localhost"


def _hint(host: str) -> str:
    if "*" in host:
        return "a * stands for the first label alone, below a domain of two or more; "
    if not host.isascii():
        return "browsers write other letters than ASCII's as xn--…; "
    return ""


def _pattern(origin: str) -> str:
    """A star is one label. It never stands for a dot, so nothing above or below that place matches."""
    return re.escape(origin).replace(re.escape("//*."), rf"//{_LABEL}\.")


def _unquoted(text: str) -> str:
    """Without the quotes around it that `docker --env-file` and some consoles leave there."""
    text = text.strip()
    while len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return text
