"""What a server's error reply means, on every transport. Pure.

A script does not roll back. So a refusal means "nothing was written" only if it is known to come from before the first
write.
"""

from __future__ import annotations

import re

from gapless.log.errors import CorruptLog, StoreMisconfigured, StoreUnavailable

RIGHTS = "docs/security.md lists the rights that it needs"

# Said by a server that has not begun.
_NOT_BEGUN = re.compile(
    "NOPERM|OOM|READONLY|LOADING|BUSY|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|CROSSSLOT"
    "|ERR max |ERR failed to parse|ERR unknown command|ERR Command is not available"
    "|ERR wrong number of arguments|ERR (Client sent )?AUTH|ERR DB index|ERR Operation not permitted"
    "|ERR This instance has cluster support disabled"
)
_ELSEWHERE = re.compile("READONLY|MASTERDOWN|LOADING|CLUSTERDOWN|MOVED|ASK")
_LATER = re.compile("BUSY|TRYAGAIN")
_FORBIDDEN = re.compile("NOPERM|ERR ACL failure in script|ERR The user executing the script can't run this command")
_AFTER_A_WRITE = re.compile("'(ltrim|pexpire|set)'", re.IGNORECASE)


class PermanentError(StoreMisconfigured):
    """A refusal that a second attempt would meet again. Nothing was written."""


class Later(StoreUnavailable):
    """Nothing was written, and soon it may be: worth more attempts than a failure whose cause nobody knows."""


class Full(Later):
    """The server takes no more connections."""


class Elsewhere(Later):
    """The server that we are connected to can't serve: another may by now, at the same address."""


class Unauthenticated(Elsewhere, StoreMisconfigured):
    """The server wants a password that the connection has not given."""


def read_refusal(text: str, *, who: str = "Redis") -> StoreUnavailable:
    """An error reply, its code first, in our terms."""
    text = text.rstrip(".")
    if "WRONGTYPE" in text or "GAPLESS" in text:  # the scripts look before they write
        return CorruptLog(f"something else is stored under our keys: {text}")
    if _FORBIDDEN.match(text):
        return _forbidden(text, who)
    if text.startswith("WRONGPASS") or "invalid password" in text:
        return StoreMisconfigured(f"{who} refuses the user or password of REDIS_URL")
    if _wants_a_password(text):
        return Unauthenticated(f"{who} asks for a password; set it in REDIS_URL: redis://:password@host:6379/0")
    if _ELSEWHERE.match(text):
        return Elsewhere(f"{who} can't serve now: {text}")
    if text.startswith("ERR max number of clients"):
        return Full(f"{who} takes no more connections: {text}")
    if _LATER.match(text):
        return Later(f"{who} is busy: {text}")
    return StoreUnavailable(f"{who} refused: {text}", outcome_unknown=_NOT_BEGUN.match(text) is None)


def leads_elsewhere(text: str) -> bool:
    """Whether the connection itself is wrong: a new one may lead to a server that can serve."""
    return text.startswith(("READONLY", "MASTERDOWN", "LOADING")) or _wants_a_password(text)


def _wants_a_password(text: str) -> bool:
    """A command of more than ten parts is refused in other words."""
    return text.startswith(("NOAUTH", "ERR Protocol error: unauthenticated"))


def _forbidden(text: str, who: str) -> PermanentError:
    """A right is missing. What is refused inside a script may come after its first write."""
    if command := re.search(r"'([\w|-]+)' command", text):
        what = f"its user may not run {command[1].upper()}"
    elif "channel" in text:
        what = "its user may not use our pub/sub channels"
    elif "key" in text:
        what = "its user may not use our keys"
    else:
        what = "its user may not run a command that we need"
    named = command is not None and not _AFTER_A_WRITE.search(text)
    return PermanentError(f"{who} refuses: {what}; {RIGHTS}", outcome_unknown="script" in text and not named)


def code_of(error: Exception) -> str:
    """The first word of the reply that this error was; '' for one that was no reply."""
    return getattr(error, "status_code", None) or ""


def said(error: Exception) -> str:
    """The reply that this error was, as the server has worded it."""
    return f"{code_of(error)} {error}".strip()
