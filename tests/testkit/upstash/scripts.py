"""Lua as Upstash runs it: the key-locking flag, its rule about keys, and shas of the script as sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tests.testkit.upstash import replies
from tests.testkit.upstash.request import Argv, command_name

if TYPE_CHECKING:
    from tests.testkit.upstash.replies import ErrorReply

PublishInScripts = Literal["accept", "refuse_in_locked", "refuse_always"]
KeyLocking = Literal["accept", "refuse"]

_FLAG: Final = b"allow-key-locking"
_TEXT_AS_SENT: Final = frozenset({"EVAL", "EVAL_RO"})
_BY_SHA: Final = frozenset({"EVALSHA", "EVALSHA_RO"})


def _one_line(lua: str) -> bytes:
    lines = (line.strip() for line in lua.splitlines())
    return " ".join(line for line in lines if line and not line.startswith("--")).encode() + b" "


# On one line, so that line numbers in errors stay those of the script's author.
_GUARD: Final = _one_line(Path(__file__).with_name("guard.lua").read_text())


class ScriptRefused(Exception):
    """The script was not accepted at all; `error` is the reply."""

    def __init__(self, error: ErrorReply) -> None:
        super().__init__(error)
        self.error = error


@dataclass
class Scripts:
    """The script cache. Change its two settings at any time: known scripts then miss once (NOSCRIPT).

    `key_locking`: does the database take the flag? `publish_in_scripts`: may a script PUBLISH? Nothing
    documents that, so all three answers must be lived with.
    """

    key_locking: KeyLocking = "accept"
    publish_in_scripts: PublishInScripts = "accept"
    _sent: dict[bytes, bytes] = field(default_factory=dict)

    def rewrite(self, argv: Argv) -> Argv:
        """The command as Valkey can run it. ScriptRefused where Upstash would not take the script."""
        name = command_name(argv)
        if name in _TEXT_AS_SENT and len(argv) > 1:
            return argv[0], self._learn(argv[1]), *argv[2:]
        if name in _BY_SHA and len(argv) > 1:
            return argv[0], self._valkey_sha(argv[1]), *argv[2:]
        return self._script_command(argv) if name == "SCRIPT" else argv

    def by_text(self, argv: Argv) -> Argv:
        """For a server with a script cache of its own: EVALSHA_RO as EVAL_RO, where the text is known."""
        if command_name(argv) in _BY_SHA and len(argv) > 1 and (text := self._sent.get(argv[1].lower())):
            return argv[0].upper().replace(b"EVALSHA", b"EVAL"), text, *argv[2:]
        return argv

    def reply(self, argv: Argv, answered: replies.Reply) -> replies.Reply:
        """What Upstash would have answered: its own words for NOSCRIPT, and shas of the text as sent."""
        if isinstance(answered, replies.ErrorReply) and answered.startswith("NOSCRIPT"):
            return replies.NOSCRIPT
        # Shebang flags are part of the source: "a change to them produces a different digest" (SCRIPT LOAD).
        return _sha(argv[2]) if isinstance(answered, bytes) and _is_script(argv, b"LOAD") else answered

    def _script_command(self, argv: Argv) -> Argv:
        if _is_script(argv, b"FLUSH"):
            self._sent.clear()
        if _is_script(argv, b"LOAD") and len(argv) > 2:
            return *argv[:2], self._learn(argv[2]), *argv[3:]
        if _is_script(argv, b"EXISTS"):
            return *argv[:2], *(self._valkey_sha(sha) for sha in argv[2:])
        return argv

    def _learn(self, text: bytes) -> bytes:
        prepared = self._prepare(text)
        self._sent[_sha(text)] = text
        return prepared

    def _valkey_sha(self, sha: bytes) -> bytes:
        # A sha never seen here goes through as it is: Valkey then has no such script either.
        text = self._sent.get(sha.lower())
        return sha if text is None else _sha(self._prepare(text))

    def _prepare(self, text: bytes) -> bytes:
        shebang, locked, body = _split(text)
        if locked and self.key_locking == "refuse":
            raise ScriptRefused(replies.UNKNOWN_FLAG)
        mute = self._no_publish(locked)
        return shebang + (_guard(locked, mute) if locked or mute else b"") + body

    def _no_publish(self, locked: bool) -> bool:
        return self.publish_in_scripts == "refuse_always" or (locked and self.publish_in_scripts == "refuse_in_locked")


def _is_script(argv: Argv, subcommand: bytes) -> bool:
    return command_name(argv) == "SCRIPT" and len(argv) > 1 and argv[1].upper() == subcommand


def _guard(locked: bool, mute: bool) -> bytes:
    said = {True: b"true", False: b"false"}
    return _GUARD.replace(b"$LOCKED", said[locked]).replace(b"$MUTE", said[mute])


def _sha(text: bytes) -> bytes:
    return sha1(text, usedforsecurity=False).hexdigest().encode()


def _split(text: bytes) -> tuple[bytes, bool, bytes]:
    """(what is left of the shebang line, was the flag on it, the rest), line numbers unchanged."""
    first, newline, rest = text.partition(b"\n")
    if not first.startswith(b"#!lua"):
        return b"", False, text
    words = first.split()
    flags = [f for w in words if w.startswith(b"flags=") for f in w.removeprefix(b"flags=").split(b",")]
    if _FLAG not in flags:
        return first + newline, False, rest
    others = b",".join(f for f in flags if f != _FLAG)
    # A shebang with no flag left would switch Valkey to its stricter rules for shebang scripts.
    shebang = b" ".join([b"#!lua", b"flags=" + others]) if others else b""
    return shebang + newline, True, rest
