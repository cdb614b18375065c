"""What the database would be billed for: every command, those inside scripts and pipelines too; and what was asked."""

from __future__ import annotations

from collections import Counter
from hashlib import sha1
from typing import TYPE_CHECKING, Final

from tests.testkit.upstash.request import command_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.testkit.upstash.request import Argv

# "Note that these commands (AUTH, INFO, PING, QUIT, COMMAND) are not billed" (Upstash REST docs, AWS Lambda
# tutorial). Everything else is: "each command inside a pipeline or transaction is still billed" (Billing);
# commands called by scripts are taken to be as well.
FREE: Final = frozenset({"AUTH", "INFO", "PING", "QUIT", "COMMAND"})


def calls(commandstats: Iterable[bytes]) -> Counter[str]:
    """Calls by command from lines of `INFO commandstats`; subcommands are counted under their container's name."""
    found: Counter[str] = Counter()
    for line in commandstats:
        if line.startswith(b"cmdstat_"):
            name, _, fields = line.removeprefix(b"cmdstat_").partition(b":calls=")
            found[name.split(b"|")[0].decode().upper()] += int(fields.split(b",", 1)[0])
    return found


def billed(before: bytes, after: bytes) -> Counter[str]:
    """What ran between two looks at `INFO commandstats` inside one MULTI, hence exact, and is not free."""
    old, new = set(before.splitlines()), set(after.splitlines())
    ran = calls(new - old)  # most lines are the same, and to read all of them is a tenth of the emulator's time
    ran.subtract(calls(old - new))
    return Counter({name: n for name, n in ran.items() if n > 0 and name not in FREE})


def total(counts: Mapping[str, int]) -> int:
    """All billed commands together."""
    return sum(counts.values())


def note(asked: Counter[str], commands: Iterable[Argv]) -> None:
    """Count what was asked for, not what scripts do: `NAME`, or `NAME sha` for a script. `bytes`: of all words."""
    for argv in commands:
        name = command_name(argv)
        if name in ("EVALSHA", "EVAL") and len(argv) > 1:
            name += f" {argv[1].decode() if name == 'EVALSHA' else sha1(argv[1], usedforsecurity=False).hexdigest()}"
        asked[name] += 1
        asked["bytes"] += sum(map(len, argv))
